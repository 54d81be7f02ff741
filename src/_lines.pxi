# The lines of a payload, told apart and counted many bytes at a time: every byte of the input is
# passed here once, by the supervisor that cuts it and by the worker that decodes it.

DEF NEWLINE = 10


cdef inline bint is_blank(char byte) noexcept nogil:
    """What bytes.isspace() accepts, as `_BLANK` has it in sources/lines."""
    return byte == 32 or 9 <= byte <= 13


def pass_lines(
    bytes data not None, Py_ssize_t position, Py_ssize_t limit, Py_ssize_t most, Py_ssize_t longest
):
    cdef const char *text = PyBytes_AS_STRING(data)
    cdef const char *end
    cdef Py_ssize_t passed = 0
    if not 0 <= position <= limit <= len(data):
        raise ValueError(f"{position} to {limit} of {len(data)} bytes")
    while passed < most and position < limit and not is_blank(text[position]):
        end = <const char *>memchr(text + position, NEWLINE, limit - position)
        if end is NULL or end - text - position > longest:
            break
        position = end - text + 1
        passed += 1
    return passed, position


def count_lines(bytes data not None, Py_ssize_t start, Py_ssize_t end):
    cdef const char *at
    cdef const char *stop
    cdef Py_ssize_t found = 0
    if not 0 <= start <= end <= len(data):
        raise ValueError(f"{start} to {end} of {len(data)} bytes")
    at, stop = PyBytes_AS_STRING(data) + start, PyBytes_AS_STRING(data) + end
    while True:
        at = <const char *>memchr(at, NEWLINE, stop - at)
        if at is NULL:
            return found
        at += 1
        found += 1


def object_lines(bytes payload not None):
    cdef const char *at = PyBytes_AS_STRING(payload)
    cdef const char *end = at + len(payload)
    cdef const char *stop
    cdef Py_ssize_t lines = 0
    while at < end:
        stop = <const char *>memchr(at, NEWLINE, end - at)
        if stop is NULL:
            stop = end
        if at[0] != b"{" or (stop - (2 if (stop - 1)[0] == b"\r" else 1))[0] != b"}":
            return 0
        lines += 1
        at = stop + 1
    return lines
