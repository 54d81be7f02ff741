# TLS of one connection: Python's ssl between two memories, and no protocol around it.
#
# The event loop's own TLS is a transport over a transport: it queues, joins, counts and calls back
# for streams of any kind, which for one request and one answer costs more than the ciphers do. Here
# a request is encrypted by one call and sent by another. Whom to trust is the context's alone.

import ssl

DEF RECORD_BYTES = 16384  # the most that one record says, so that reading takes it whole
DEF MOST_ENCRYPTED = RECORD_BYTES + 2048
DEF APPLICATION_DATA = 23  # in TLS 1.3 the type of all that comes after the handshake's begin


@cython.final
cdef class Tls:
    """Bytes from the wire in, what they say out; what is to be said in, bytes for the wire out."""

    cdef object _object, _incoming, _outgoing
    cdef object _socket  # the same without Python's class around it, which is two calls a request
    cdef bytearray _plain  # what any connection's record is decrypted into
    cdef unsigned char _header[5]  # of the record that is coming in
    cdef int _header_bytes
    cdef Py_ssize_t _left  # of that record
    cdef int _whole  # records that are here and were not read: to read in vain raises, and is slow
    cdef bint _replying  # a record came that may have made TLS itself say something
    cdef bint farewell  # the peer has said that no more will come

    def __init__(self, context, str hostname, bytearray plain):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._socket = self._object._sslobj
        self._plain = plain

    cdef int feed(self, bytes data) except -1:
        """Take in what came from the wire."""
        self._follow(<const unsigned char *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        self._incoming.write(data)
        return 0

    cdef bint shake_hands(self) except -1:
        """Go on with the handshake; whether it is complete. Raises SSLError."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    cdef bytes read(self):
        """What the next record says; None where none is there, or the last one. Raises SSLError."""
        cdef Py_ssize_t size
        if self._whole == 0:
            return None
        self._whole -= 1
        try:
            size = self._socket.read(RECORD_BYTES, self._plain)
        except ssl.SSLWantReadError:
            self._whole = 0
            return None
        if size == 0:
            self.farewell = True
            return None
        return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(self._plain), size)

    cdef int say(self, bytes data) except -1:
        """Encrypt all of it. Raises SSLError, also while the peer wants another handshake first."""
        cdef Py_ssize_t said = self._socket.write(data), size = PyBytes_GET_SIZE(data)
        while said < size:
            said += self._socket.write(memoryview(data)[said:])
        return 0

    cdef bytes written(self):
        """What is to go to the wire now."""
        self._replying = False
        return self._outgoing.read()

    cdef bint is_between_records(self) noexcept:
        """Whether no record is half here: what it says may be nobody's answer."""
        return self._header_bytes == 0

    cdef void _follow(self, const unsigned char *data, Py_ssize_t size) noexcept nogil:
        """Follow the records, by type, version and length before each, without looking inside.

        What can't be the beginning of one counts as whole, so that it is read, and refused, at once.
        """
        cdef Py_ssize_t step
        while size:
            if self._header_bytes < 5:
                self._header[self._header_bytes] = data[0]
                self._header_bytes += 1
                self._left = self._header[3] << 8 | self._header[4]
                step = 1
                if self._header_bytes == 5:
                    self._replying |= self._header[0] != APPLICATION_DATA
                    if self._header[1] != 3 or self._left > MOST_ENCRYPTED:
                        self._whole += 1
            else:
                step = min(self._left, size)
                self._left -= step
            if self._header_bytes == 5 and self._left == 0:
                self._header_bytes = 0
                self._whole += 1
            data += step
            size -= step
