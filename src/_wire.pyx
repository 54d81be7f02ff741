"""Connections below aiohttp's client: a request in one write, a plain answer read where it comes in.

A protocol of our own instead of aiohttp's, because a request through ClientSession costs five times
what the wire costs: objects for request, response, stream, timers and a parser for each. Here an
answer of the usual kind is read by a strict reader in C (`_answer.pxi`) and becomes a response in
the same call that brought its last byte. Whatever that reader does not know goes, from the answer's
first byte on, to what `make_wire` gives: aiohttp's parser under the same rules. The reader never
guesses: it knows answers whole or not at all, so that there is one authority on odd ones.

The rules on which bytes were asked for are those at the head of `transport/wire.py`.
"""

import errno
import zlib
from collections.abc import Mapping

from aiohttp import ClientConnectionResetError, ClientOSError, ServerDisconnectedError

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memchr, memcpy
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from *:
    """
    #include <errno.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>

    #ifndef MSG_NOSIGNAL  /* macOS; Python ignores SIGPIPE */
    #define MSG_NOSIGNAL 0
    #endif

    /* What the socket took of head + length + body; -1 where it took nothing now. */
    static Py_ssize_t wire_send(int fd, const char *head, size_t head_size, const char *length,
                                size_t length_size, const char *body, size_t body_size) {
        struct iovec parts[3] = {
            {(void *)head, head_size}, {(void *)length, length_size}, {(void *)body, body_size}};
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = parts;
        message.msg_iovlen = 3;
        return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    /* Whether nothing waits in the socket: no byte, no end, no error. */
    static int wire_silent(int fd) {
        char byte;
        ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }

    /* What the socket gives now; -1 where that is nothing, 0 at its end. */
    static Py_ssize_t wire_receive(int fd, char *buffer, size_t size) {
        return recv(fd, buffer, size, MSG_DONTWAIT);
    }
    """
    Py_ssize_t wire_send(int fd, const char *head, size_t head_size, const char *length,
                         size_t length_size, const char *body, size_t body_size)
    int wire_silent(int fd)
    Py_ssize_t wire_receive(int fd, char *buffer, size_t size)
    int memcmp(const void *one, const void *other, size_t size) nogil
    bint PyUnicode_IS_ASCII(str text)

include "_answer.pxi"
include "_headers.pxi"
include "_tls.pxi"

DEF BUFFER_BYTES = 65536
DEF BURST = 32  # requests; see Lines.write_soon
DEF LENGTH_BYTES = 32  # a length's digits, and the end of a head


cdef inline int64_t now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


@cython.final
cdef class Lines:
    """The connections of one transport, and the one clock for all of their deadlines.

    A timer for each request would cost as much as parsing its answer. `tick_ns` is how late an
    attempt may be ended, or an idle connection closed.
    """

    cdef object _loop, _counters, _make_response, _make_wire, _timer
    cdef set _lines
    cdef list _due  # lines with a request to be written
    cdef bytearray _buffer, _plain  # what any of them looks into, and decrypts into
    cdef int64_t _timeout_ns, _idle_ns
    cdef double _tick_seconds
    cdef Py_ssize_t _max_body_bytes
    cdef readonly bint closed

    def __init__(
        self, loop, counters, make_response, make_wire, *, timeout_seconds, idle_seconds,
        max_body_bytes
    ):
        self._loop = loop
        self._counters = counters
        self._make_response = make_response
        self._make_wire = make_wire
        self._timeout_ns = int(timeout_seconds * 1e9)
        self._idle_ns = int(idle_seconds * 1e9)
        self._tick_seconds = min(max(min(timeout_seconds, idle_seconds) / 32, 0.005), 0.25)
        self._max_body_bytes = max_body_bytes
        self._lines = set()
        self._due = []
        self._buffer, self._plain = bytearray(BUFFER_BYTES), bytearray(RECORD_BYTES)
        self._timer = None
        self.closed = False

    def make_line(self):
        """A protocol for a new connection."""
        return Line(self)

    def __len__(self):
        return len(self._lines)

    def take(self, dict idle):
        """The connection that was used last of those in `idle` and is open; None without one.

        What may have come on it is looked for when the request is written.
        """
        cdef Line line
        while idle:
            line = <Line>idle.popitem()[0]
            line._idle = None
            if line._is_free():
                return line
            line.abort()
        return None

    def close(self):
        """Close all connections; those that are being made close as soon as they are there."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for line in list(self._lines):
            (<Line>line).abort()

    cdef void _came(self, Line line) except *:
        self._lines.add(line)
        if self.closed:
            line.abort()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._tick_seconds, self._sweep)

    cdef int _write_soon(self, Line line) except -1:
        """Write this line's request in the present turn of the loop, back to back with others.

        A server that has nothing to do sleeps, and waking it costs the sender more than all else
        of a write. One burst wakes it once.
        """
        self._due.append(line)
        if len(self._due) >= BURST:
            self.write_due()
        elif len(self._due) == 1:
            self._loop.call_soon(self.write_due)
        return 0

    def write_due(self):
        """Write the requests that are due now; the loop calls this at the end of its turn."""
        cdef Line line
        due, self._due = self._due, []
        for one in due:
            line = <Line>one
            try:
                line._write_now()
            except Exception as error:  # of this connection alone: the others' requests go out
                line._fail(error)
                line.abort()

    def _sweep(self):
        cdef Line line
        cdef int64_t now = now_ns()
        for one in list(self._lines):
            line = <Line>one
            if line._asked:
                if now >= line._deadline_ns:
                    line.expire()
            elif line._idle is not None and now - line._idle_since_ns >= self._idle_ns:
                line.abort()
        self._timer = None
        if self._lines:
            self._timer = self._loop.call_later(self._tick_seconds, self._sweep)


@cython.final
cdef class Line:
    """One connection: the protocol of its transport, and the exchange that is under way on it.

    `wire` is what reads an answer that the plain reader does not know, while there is one.
    `sent_ns` is when the newest request was begun to be written, 0 until then; `requests` counts
    them.
    """

    cdef Lines _lines
    cdef object _transport, _waiter
    cdef Tls _tls  # None where the wire says things as they are
    cdef object _handshake  # a future, until it is over
    cdef object _error  # why it ended, where that was not as it should
    cdef dict _idle  # where it waits to be used
    cdef bytearray _held  # of an answer that is not complete
    cdef Py_ssize_t _need, _scanned
    cdef Head _head
    cdef Chunks _chunks
    cdef int _fd
    cdef bint _asked, _soiled, _buffered
    cdef bytes _due_head, _due_body  # of a request that is asked for and not written yet
    cdef int64_t _deadline_ns, _idle_since_ns
    cdef dict _home
    cdef readonly object wire
    cdef readonly int64_t sent_ns, requests
    cdef readonly bint answering  # whether the newest answer has begun

    def __init__(self, Lines lines):
        self._lines = lines
        self._fd = -1

    # --- what the event loop calls ----------------------------------------------------------------

    def connection_made(self, transport):
        self._transport = transport
        self._fd = transport.get_extra_info("socket").fileno()
        self._lines._came(self)

    def pause_writing(self):
        """Nothing to do: what is written is in memory anyway."""

    def resume_writing(self):
        pass

    def eof_received(self):
        """Let the transport close: no answer goes on behind the end of its connection."""
        if self._tls is not None and not self._tls.farewell:
            self._error = ConnectionResetError(errno.ECONNRESET, "the end of TLS without a farewell")

    def data_received(self, bytes data):
        if self._tls is None:
            self._hear(data)
        else:
            self._decrypt(data)

    def connection_lost(self, exc):
        if exc is None:
            exc = self._error
        if self._handshake is not None:
            self._end_handshake(exc or ConnectionResetError(errno.ECONNRESET, "ended"))
        if self.wire is not None:
            self.wire.connection_lost(exc)
        else:  # what the plain reader holds of an answer says how long it is: it was cut
            self._held = None
            self._fail(error_of(exc))
        self._leave_idle()
        self._transport = None
        self._fd = -1
        self._lines._lines.discard(self)

    # --- what a transport calls -------------------------------------------------------------------

    def start_tls(self, context, str hostname):
        """Speak TLS from here on; returns a future, done when the peer has proved who it is.

        It fails with what `ssl` raises, or an OSError where the connection ends before.
        """
        self._tls = Tls(context, hostname, self._lines._plain)
        self._handshake = handshake = self._lines._loop.create_future()
        if self._transport is None:
            self._end_handshake(ConnectionResetError(errno.ECONNRESET, "ended"))
        else:
            self._shake_hands()
        return handshake

    def ask(self, bytes head, bytes body, dict home, bint late=False, int64_t deadline_ns=0):
        """Write a request in this turn; returns a future of the response, or of None: read `wire`.

        `head` ends where the body's length stands. When the answer is complete the connection goes
        to `home`. One that is `late` goes out at once: who waited for its ticket has used up what
        the limit allows for between ticket and request. Raises ClientConnectionResetError where the connection has ended. Should it end
        before the request is written, or bytes come that nobody asked for, the future fails as for
        a connection that ended, and `sent_ns` is 0.
        """
        if self._transport is None or self._transport.is_closing():
            raise ClientConnectionResetError("the connection has ended")
        self._waiter = waiter = self._lines._loop.create_future()
        self.sent_ns = 0
        self._deadline_ns = deadline_ns or now_ns() + self._lines._timeout_ns
        self._home = home
        self._asked = True
        self.answering = False
        self.requests += 1
        self._due_head, self._due_body = head, body
        self._lines._write_soon(self)
        if late:
            self._lines.write_due()
        return waiter

    @property
    def deadline_ns(self):
        """When the newest request is to be over."""
        return self._deadline_ns

    def is_clean(self):
        """Whether a request may be written: open, nothing under way, nothing come unasked."""
        return self._is_free() and self._is_silent()

    cdef bint _is_free(self) except -1:
        if self._transport is None or self._asked or self._soiled:
            return False
        return not self._transport.is_closing()

    def give_back(self, dict home):
        """Keep a connection that was taken and not used."""
        if self._transport is not None and not self._lines.closed:
            self._rest(home)

    def over(self):
        """End the exchange that `wire` read: keep the connection only if nothing is left of it."""
        wire, self.wire = self.wire, None
        self._asked = False
        self._waiter = None
        if self._transport is None:
            return
        if wire.is_clean() and not wire._reading_paused and not self._lines.closed:
            self._rest(self._home)
        else:
            self.abort()

    def drop(self, waiter):
        """Close the connection if it still waits for this answer; keep it if nothing was written."""
        if self._waiter is waiter:
            if self._due_head is not None and not self._lines.closed:
                self._due_head = self._due_body = self._waiter = None
                self._asked = False
                self._rest(self._home)
            else:
                self.abort()

    def abort(self):
        """Close without a farewell, for which a peer that still sends could make us wait."""
        self._leave_idle()
        if self._transport is not None:
            self._transport.abort()

    # --- the exchange -----------------------------------------------------------------------------

    cdef int _write_now(self) except -1:
        """Write what is due, unless the connection has ended or something came on it unasked."""
        cdef bytes head = self._due_head, body = self._due_body
        if head is None or self._transport is None or self._transport.is_closing():
            return 0
        if self._waiter.cancelled():  # `drop` comes next
            return 0
        if not self._is_silent():
            self.abort()
            return 0
        self._due_head = self._due_body = None
        self.sent_ns = now_ns()
        return self._write(head, body)

    cdef int _write(self, bytes head, bytes body) except -1:
        cdef char length[LENGTH_BYTES]
        cdef Py_ssize_t length_size = write_length(length, PyBytes_GET_SIZE(body))
        cdef Py_ssize_t taken = 0, whole
        whole = PyBytes_GET_SIZE(head) + length_size + PyBytes_GET_SIZE(body)
        if self._tls is not None:
            return self._say(join_request(head, length, length_size, body, whole))
        self._buffered = False
        # Past the event loop: its queue of writes costs more than the system call. It has none of
        # this connection's to do, or the connection would not have been clean.
        taken = wire_send(
            self._fd, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head),
            length, length_size,
            PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body),
        )
        if taken != whole:  # an error will meet the transport too, and be told by it
            self._buffered = True
            self._write_rest(head + length[:length_size], body, max(taken, 0))
        return 0

    cdef int _write_rest(self, bytes head, bytes body, Py_ssize_t taken) except -1:
        cdef Py_ssize_t head_size = PyBytes_GET_SIZE(head)
        if taken < head_size:
            self._transport.writelines([head[taken:], body])
        else:
            self._transport.write(memoryview(body)[taken - head_size :])
        return 0

    cdef bint _is_silent(self) except -1:
        """Whether nothing has come, nor waits in the socket, that could be taken for an answer.

        What waits in it where TLS is spoken is read, to see whether it says anything: a server's
        session tickets come when they come, and are nobody's answer.
        """
        cdef Py_ssize_t size
        if self._tls is None or not self._tls.is_between_records():
            return self._tls is None and wire_silent(self._fd)
        if wire_silent(self._fd):
            return True
        size = wire_receive(self._fd, PyByteArray_AS_STRING(self._lines._buffer), BUFFER_BYTES)
        if size <= 0:
            return False
        self._decrypt(
            PyBytes_FromStringAndSize(PyByteArray_AS_STRING(self._lines._buffer), size)
        )
        if self._transport is None or self._transport.is_closing():
            return False
        return self._tls.is_between_records() and wire_silent(self._fd)

    cdef int _hear(self, bytes data) except -1:
        """Take what the server says."""
        if self.wire is not None:
            self.wire.data_received(data)
        elif not self._asked or self._due_head is not None:
            self._soil()
        elif self._held is not None:
            self._held += data
            self._go_on(PyBytes_GET_SIZE(data))
        else:
            self.answering = True
            self._begin(data)
        return 0

    cdef int _begin(self, bytes data) except -1:
        """The first bytes of an answer: its whole head, or it is not of the usual kind."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if not read_head(PyBytes_AS_STRING(data), size, &self._head):
            return self._hand_over(data)
        if self._head.length < 0:
            self._chunks = Chunks(0, 0, 0, 0)
            self._scanned = self._head.size
            return self._follow_chunks(data, PyBytes_AS_STRING(data), size)
        if self._head.length > self._lines._max_body_bytes:
            return self._hand_over(data)
        self._need = self._head.size + self._head.length
        if size >= self._need:
            return self._complete(data, size)
        self._held = bytearray(data)
        return 0

    cdef int _go_on(self, Py_ssize_t more) except -1:
        cdef bytearray held = self._held
        if self._head.length < 0:
            return self._follow_chunks(held, held, len(held))
        if len(held) >= self._need:
            return self._complete(bytes(held), len(held))
        return 0

    cdef int _follow_chunks(self, object data, const char *text, Py_ssize_t size) except -1:
        cdef Py_ssize_t used = scan_chunks(&self._chunks, text + self._scanned, size - self._scanned)
        if used < 0 or self._chunks.total > self._lines._max_body_bytes:
            return self._hand_over(bytes(data))
        self._scanned += used
        if self._chunks.state == CHUNKS_DONE:
            self._need = self._scanned
            return self._complete(bytes(data), size)
        if self._scanned > 2 * self._lines._max_body_bytes + MOST_HEAD:  # hardly any body in it
            return self._hand_over(bytes(data))
        if self._held is None:
            self._held = bytearray(data)
        return 0

    cdef int _complete(self, bytes data, Py_ssize_t size) except -1:
        """All bytes of an answer are there, and maybe more."""
        cdef bytes body
        cdef bint is_over
        if self._head.length >= 0:
            body = PyBytes_FromStringAndSize(
                PyBytes_AS_STRING(data) + self._head.size, self._head.length
            )
        else:
            body = join_chunks(
                PyBytes_AS_STRING(data) + self._head.size, <Py_ssize_t>self._chunks.total
            )
        if self._head.gzip:
            body = inflate(body, self._lines._max_body_bytes)
            if body is None:
                return self._hand_over(data)
        waiter, self._waiter = self._waiter, None
        is_over = waiter.done()  # it was cancelled
        self._held = None
        self._asked = False
        if size > self._need:
            self._soil()
        elif self._buffered and self._transport.get_write_buffer_size() > 0:
            self.abort()  # an answer that came before its request was written whole, like a 413
        elif is_over:
            self.abort()
        else:
            self._rest(self._home)
        if not is_over:
            headers = Headers(data[: self._head.size])
            waiter.set_result(
                self._lines._make_response(
                    self._head.status, headers, body, self.sent_ns, now_ns()
                )
            )
        return 0

    cdef int _hand_over(self, bytes data) except -1:
        """Let aiohttp's parser read this answer, from its first byte on."""
        self._held = None
        self.wire = self._lines._make_wire(self._transport)
        if not self._waiter.done():
            self._waiter.set_result(None)
        self.wire.data_received(data)
        return 0

    # --- TLS --------------------------------------------------------------------------------------

    cdef int _shake_hands(self) except -1:
        try:
            complete = self._tls.shake_hands()
        except ssl.SSLError as error:
            self._flush()  # what is wrong, for the server's log
            self._end_handshake(error)
            self.abort()
            return 0
        self._flush()
        if complete:
            self._end_handshake(None)
        return 0

    cdef int _end_handshake(self, error) except -1:
        handshake, self._handshake = self._handshake, None
        if handshake.done():
            pass
        elif error is None:
            handshake.set_result(None)
        else:
            handshake.set_exception(error)
        return 0

    cdef int _decrypt(self, bytes data) except -1:
        """Take what came from the wire, and hear what it says."""
        cdef bytes plain
        self._tls.feed(data)
        if self._handshake is not None:
            self._shake_hands()
            if self._handshake is not None:
                return 0
        try:
            while self._transport is not None:
                plain = self._tls.read()
                if plain is None:
                    break
                self._hear(plain)
        except ssl.SSLError as error:
            self._error = error
            self.abort()
            return 0
        if self._tls._replying:
            self._flush()
        if self._tls.farewell:
            self.abort()
        return 0

    cdef int _say(self, bytes data) except -1:
        """Encrypt and write."""
        try:
            self._tls.say(data)
        except ssl.SSLError:  # no byte of it is on the wire: as if the connection had ended before
            self.sent_ns = 0
            self._fail(ServerDisconnectedError())
            self.abort()
            return 0
        return self._flush()

    cdef int _flush(self) except -1:
        """Write what TLS has to say, behind what the transport has not written yet."""
        cdef bytes data = self._tls.written()
        cdef Py_ssize_t taken = 0
        if self._transport is None or not data:
            return 0
        self._buffered = self._buffered and self._transport.get_write_buffer_size() > 0
        if not self._buffered:
            taken = max(0, wire_send(
                self._fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), NULL, 0, NULL, 0
            ))
        if taken < PyBytes_GET_SIZE(data):
            self._buffered = True
            self._transport.write(memoryview(data)[taken:])
        return 0

    # --- idle, ended ------------------------------------------------------------------------------

    cdef int _rest(self, dict home) except -1:
        self._idle = home
        self._idle_since_ns = now_ns()
        home[self] = None
        return 0

    cdef int _leave_idle(self) except -1:
        if self._idle is not None:
            self._idle.pop(self, None)
            self._idle = None
        return 0

    cdef int _soil(self) except -1:
        if not self._soiled:
            self._soiled = True
            self._lines._counters.soiled += 1
        self.abort()
        return 0

    cdef int expire(self) except -1:
        """The time of the exchange is up."""
        if self.wire is not None:
            self.wire.set_exception(TimeoutError())
        else:
            self._fail(TimeoutError())
        self.abort()
        return 0

    cdef int _fail(self, error) except -1:
        waiter, self._waiter = self._waiter, None
        self._asked = False
        self._due_head = self._due_body = None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        return 0


cdef Py_ssize_t write_length(char *to, Py_ssize_t length) noexcept nogil:
    """Write a body's length and what ends a head behind it; returns how many bytes that takes."""
    cdef char digits[LENGTH_BYTES]
    cdef Py_ssize_t count = 0, at
    while length or count == 0:
        digits[count] = 48 + length % 10
        length //= 10
        count += 1
    for at in range(count):
        to[at] = digits[count - 1 - at]
    memcpy(to + count, b"\r\n\r\n", 4)
    return count + 4


cdef bytes join_request(
    bytes head, const char *length, Py_ssize_t length_size, bytes body, Py_ssize_t whole
):
    """A request's bytes in one piece."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, whole)
    cdef char *to = PyBytes_AS_STRING(made)
    memcpy(to, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
    to += PyBytes_GET_SIZE(head)
    memcpy(to, length, length_size)
    memcpy(to + length_size, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    return made


cdef object error_of(exc):
    """What aiohttp calls the end of a connection on which an answer was waited for."""
    if exc is None:
        return ServerDisconnectedError()
    return ClientOSError(*exc.args) if isinstance(exc, OSError) else exc


cdef bytes inflate(bytes body, Py_ssize_t max_bytes):
    """A gzip body, inflated; None where it is not exactly one whole member within the bound."""
    inflating = zlib.decompressobj(31)
    try:
        out = inflating.decompress(body, max_bytes + 1)
    except zlib.error:
        return None
    if len(out) > max_bytes or not inflating.eof or inflating.unused_data:
        return None
    return out
