# The strict reader of plain answers: a head that is whole and of the usual kind, and bodies with a
# length or in bare chunks. It says no to everything else, also to what the standard allows.

DEF MOST_HEAD = 16384
DEF MOST_FIELDS = 100

cdef struct Head:
    int status
    Py_ssize_t size  # of the head, with the empty line
    int64_t length  # of the body; -1: in chunks
    bint gzip

cdef enum:
    CHUNK_SIZE = 0
    CHUNK_SIZE_END = 1
    CHUNK_DATA = 2
    CHUNK_DATA_END = 3
    CHUNK_DATA_END_2 = 4
    CHUNKS_END = 5
    CHUNKS_END_2 = 6
    CHUNKS_DONE = 7

cdef struct Chunks:
    int state
    int digits  # of the size that is being read
    int64_t left  # of the chunk
    int64_t total  # of the body so far

cdef unsigned char LOWER_TOKEN[256]  # the lower case of what may stand in a field's name, else 0
cdef unsigned char TEXT[256]  # whether it may stand in a field's value


cdef void make_tables() noexcept:
    cdef int code
    for code in range(256):
        LOWER_TOKEN[code] = 0
        TEXT[code] = code >= 0x20 and code != 0x7F or code == 9
    for code in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz":
        LOWER_TOKEN[code] = code
    for code in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        LOWER_TOKEN[code] = code + 32


make_tables()


cdef bint same(
    const unsigned char *name, Py_ssize_t size, const char *lower, Py_ssize_t lower_size
) noexcept nogil:
    """Whether a token is this one, in any case."""
    cdef Py_ssize_t at
    if size != lower_size:
        return False
    for at in range(size):
        if LOWER_TOKEN[name[at]] != <unsigned char>lower[at]:
            return False
    return True


cdef bint read_head(const char *data, Py_ssize_t size, Head *head) noexcept nogil:
    """Read an answer's head; False where it is not whole or anything about it is unusual."""
    cdef const unsigned char *text = <const unsigned char *>data
    cdef Py_ssize_t at = 13, name_at, name_end, value_at, value_end
    cdef int fields = 0
    cdef bint kept = True, chunked = False
    head.length = -1
    head.gzip = False
    if size < 17 or memcmp(data, b"HTTP/1.1 ", 9) or text[12] != 32:
        return False
    for name_at in range(9, 12):
        if not 48 <= text[name_at] <= 57:
            return False
    head.status = (text[9] - 48) * 100 + (text[10] - 48) * 10 + text[11] - 48
    # No information, no redirects, nothing that has no body whatever its head says.
    if head.status == 204 or not (200 <= head.status < 300 or 400 <= head.status < 600):
        return False
    if size > MOST_HEAD:
        size = MOST_HEAD
    while at < size and TEXT[text[at]]:
        at += 1
    while True:
        if at + 4 > size or text[at] != 13 or text[at + 1] != 10:
            return False
        at += 2
        if text[at] == 13:
            if text[at + 1] != 10:
                return False
            head.size = at + 2
            return chunked == (head.length < 0)
        fields += 1
        if fields > MOST_FIELDS:
            return False
        name_at = at
        while at < size and LOWER_TOKEN[text[at]]:
            at += 1
        name_end = at
        if name_end == name_at or at >= size or text[at] != 58:
            return False
        at += 1
        while at < size and (text[at] == 32 or text[at] == 9):
            at += 1
        value_at = at
        while at < size and TEXT[text[at]]:
            at += 1
        value_end = at
        while value_end > value_at and (text[value_end - 1] == 32 or text[value_end - 1] == 9):
            value_end -= 1
        if not read_field(
            text + name_at, name_end - name_at, text + value_at, value_end - value_at, head,
            &chunked
        ):
            return False


cdef bint read_field(
    const unsigned char *name, Py_ssize_t name_size, const unsigned char *value,
    Py_ssize_t value_size, Head *head, bint *chunked
) noexcept nogil:
    """Take what a field says of the answer's form; False for a form that is unusual."""
    cdef Py_ssize_t at
    if name_size < 7 or name_size > 17:
        return True
    if same(name, name_size, b"content-length", 14):
        if head.length >= 0 or not 1 <= value_size <= 15:
            return False
        head.length = 0
        for at in range(value_size):
            if not 48 <= value[at] <= 57:
                return False
            head.length = head.length * 10 + value[at] - 48
        return True
    if same(name, name_size, b"transfer-encoding", 17):
        if chunked[0]:
            return False
        chunked[0] = same(value, value_size, b"chunked", 7)
        return chunked[0]
    if same(name, name_size, b"content-encoding", 16):
        if head.gzip:
            return False
        head.gzip = same(value, value_size, b"gzip", 4)
        return head.gzip
    if same(name, name_size, b"connection", 10):
        return same(value, value_size, b"keep-alive", 10)
    return not (same(name, name_size, b"upgrade", 7) or same(name, name_size, b"trailer", 7))


cdef inline int hex_digit(unsigned char code) noexcept nogil:
    if 48 <= code <= 57:
        return code - 48
    if 97 <= code <= 102:
        return code - 87
    if 65 <= code <= 70:
        return code - 55
    return -1


cdef Py_ssize_t scan_chunks(Chunks *chunks, const char *data, Py_ssize_t size) noexcept nogil:
    """Follow a body in chunks; how many bytes are its, or -1 where it is not of the usual kind."""
    cdef const unsigned char *text = <const unsigned char *>data
    cdef Py_ssize_t at = 0
    cdef int64_t step
    cdef int digit
    while at < size and chunks.state != CHUNKS_DONE:
        if chunks.state == CHUNK_DATA:
            step = min(chunks.left, <int64_t>(size - at))
            at += <Py_ssize_t>step
            chunks.left -= step
            if chunks.left == 0:
                chunks.state = CHUNK_DATA_END
            continue
        if chunks.state == CHUNK_SIZE:
            digit = hex_digit(text[at])
            if digit >= 0:
                chunks.digits += 1
                if chunks.digits > 8:
                    return -1
                chunks.left = chunks.left * 16 + digit
            elif text[at] == 13 and chunks.digits:
                chunks.state = CHUNK_SIZE_END
            else:
                return -1
        elif text[at] != (10 if chunks.state in (CHUNK_SIZE_END, CHUNK_DATA_END_2, CHUNKS_END_2)
                          else 13):
            return -1
        elif chunks.state == CHUNK_SIZE_END:
            chunks.total += chunks.left
            chunks.digits = 0
            chunks.state = CHUNK_DATA if chunks.left else CHUNKS_END
        elif chunks.state == CHUNK_DATA_END_2:
            chunks.state = CHUNK_SIZE
        else:
            chunks.state += 1
        at += 1
    return at


cdef bytes join_chunks(const char *data, Py_ssize_t total):
    """The body of what `scan_chunks` followed to its end."""
    cdef bytes body = PyBytes_FromStringAndSize(NULL, total)
    cdef char *to = PyBytes_AS_STRING(body)
    cdef const unsigned char *text = <const unsigned char *>data
    cdef Py_ssize_t left
    while total:
        left = 0
        while text[0] != 13:
            left = left * 16 + hex_digit(text[0])
            text += 1
        memcpy(to, text + 2, left)
        to += left
        text += left + 4
        total -= left
    return body
