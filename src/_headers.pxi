# The fields of an answer's head, looked up where they stand: few are ever asked for.


@cython.final
cdef class Headers:
    """A read-only mapping of field names, in any case, to values; the first of a name counts."""

    cdef bytes _head

    def __init__(self, bytes head):
        self._head = head

    def __getitem__(self, str name):
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, str name, default=None):
        cdef bytes wanted = name.lower().encode("utf-8", "surrogateescape")
        cdef const unsigned char *text = <const unsigned char *>PyBytes_AS_STRING(self._head)
        cdef Py_ssize_t at = 0, size = PyBytes_GET_SIZE(self._head), end, wide
        wide = PyBytes_GET_SIZE(wanted)
        while True:
            at = end_of_line(text, at, size)
            if at + wide >= size:
                return default
            if text[at + wide] == 58 and same(text + at, wide, PyBytes_AS_STRING(wanted), wide):
                end = end_of_line(text, at, size)
                return said(self._head[at + wide + 1 : end])

    def getall(self, str name):
        """Every value of a name; KeyError where there is none."""
        found = [value for key, value in self.items() if key.lower() == name.lower()]
        if not found:
            raise KeyError(name)
        return found

    def items(self):
        """Every field, in the order of their coming."""
        lines = [line.partition(b":") for line in self._head.split(b"\r\n")[1:] if line]
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
        return isinstance(other, Headers) and self._head == (<Headers>other)._head

    __hash__ = None


Mapping.register(Headers)


cdef Py_ssize_t end_of_line(const unsigned char *text, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """Where the line behind the one at `at` begins; the reader let no line feed pass but at ends."""
    cdef const unsigned char *end = <const unsigned char *>memchr(text + at, 10, size - at)
    return size + 1 if end is NULL else end - text + 1


cdef str said(bytes text):
    return text.strip(b" \t\r\n").decode("utf-8", "surrogateescape")
