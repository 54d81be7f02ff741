# The fields of an answer's head, looked up where they stand: few are ever asked for.


@cython.final
cdef class Headers:
    """A read-only mapping of field names, in any case, to values; the first of a name counts."""

    cdef readonly bytes head

    def __init__(self, bytes head not None):
        self.head = head

    def __getitem__(self, str name):
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, str name, default=None):
        cdef const unsigned char *text = <const unsigned char *>PyBytes_AS_STRING(self.head)
        cdef Py_ssize_t at = 0, size = PyBytes_GET_SIZE(self.head), end, wide
        cdef const char *wanted
        if not PyUnicode_IS_ASCII(name):  # there is no such name
            return default
        wanted = PyUnicode_AsUTF8AndSize(name, &wide)
        while True:
            at = end_of_line(text, at, size)
            if at + wide >= size:
                return default
            if text[at + wide] == 58 and alike(text + at, wide, <const unsigned char *>wanted):
                end = end_of_line(text, at, size)
                return said(self.head[at + wide + 1 : end])

    def getall(self, str name):
        """Every value of a name; KeyError where there is none."""
        found = [value for key, value in self.items() if key.lower() == name.lower()]
        if not found:
            raise KeyError(name)
        return found

    def items(self):
        """Every field, in the order of their coming."""
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:] if line]
        return [(said(name), said(value)) for name, _, value in lines]

    def keys(self):
        return [name for name, _ in self.items()]

    def values(self):
        return [value for _, value in self.items()]

    def __contains__(self, name):
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.items())

    def __eq__(self, other):
        return isinstance(other, Headers) and self.head == (<Headers>other).head

    __hash__ = None


Mapping.register(Headers)


cdef bint alike(
    const unsigned char *token, Py_ssize_t size, const unsigned char *wanted
) noexcept nogil:
    """Whether a field's name is the one that is wanted, each in any case."""
    cdef Py_ssize_t at
    cdef unsigned char lower
    for at in range(size):
        lower = LOWER_TOKEN[wanted[at]]
        if not lower or LOWER_TOKEN[token[at]] != lower:
            return False
    return True


cdef Py_ssize_t end_of_line(const unsigned char *text, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """Where the line behind the one at `at` begins; the reader let no line feed pass but at ends."""
    cdef const unsigned char *end = <const unsigned char *>memchr(text + at, 10, size - at)
    return size + 1 if end is NULL else end - text + 1


cdef str said(bytes text):
    return text.strip(b" \t\r\n").decode("utf-8", "surrogateescape")
