# Needles: whether any of a few byte strings lies within another.
#
# Every answer is looked through for every form that a key may take, and hardly ever has one. In
# Python that was a generator and a search for each form, a twelfth of all that a record cost. This
# looks once, and not at every byte: at the last two of a stretch as long as the shortest needle.
# Where no needle has those two, it moves on by nearly all of the stretch.
#
# S. Wu, U. Manber: "A fast algorithm for multi-pattern searching", TR-94-17, 1994.

cdef enum:
    PAIRS = 1 << 12
    MOST_SHIFT = 255


cdef inline int pair(const unsigned char *at) noexcept nogil:
    """The place of two bytes in the table of shifts; others may share it."""
    return ((at[0] << 5) ^ at[1]) & (PAIRS - 1)


@cython.final
cdef class Needles:
    cdef tuple needles
    cdef Py_ssize_t shortest
    cdef unsigned char shifts[PAIRS]

    def __cinit__(self, needles):
        cdef const unsigned char *at
        cdef Py_ssize_t index
        cdef bytes needle
        self.needles = tuple(needles)
        if any(type(one) is not bytes or len(one) < 2 for one in self.needles):
            raise ValueError("a needle is bytes, and has at least two of them")
        self.shortest = min(map(len, self.needles), default=2)
        memset(self.shifts, min(MOST_SHIFT, self.shortest - 1), PAIRS)
        for needle in self.needles:
            at = <const unsigned char *>needle
            for index in range(1, self.shortest):
                self.lower(pair(at + index - 1), self.shortest - 1 - index)

    cdef void lower(self, int place, Py_ssize_t shift) noexcept:
        self.shifts[place] = min(self.shifts[place], shift)

    def within(self, bytes haystack not None):
        return self.lies_in(haystack)

    cdef bint lies_in(self, bytes haystack) except -1:
        cdef const unsigned char *at = <const unsigned char *>haystack
        cdef Py_ssize_t start = 0, last = len(haystack) - self.shortest
        cdef int shift
        if not self.needles:
            return False
        while start <= last:
            shift = self.shifts[pair(at + start + self.shortest - 2)]
            if shift == 0 and self.begins(at + start, len(haystack) - start):
                return True
            start += max(shift, 1)
        return False

    def plainly_absent(self, bytes body not None, bytes head not None):
        return not self.needles or not (
            self.lies_in(body) or self.lies_in(head) or has_escapes(body) or not is_ascii(head)
        )

    cdef bint begins(self, const unsigned char *at, Py_ssize_t left):
        """Whether what is left begins with a needle."""
        cdef bytes needle
        for needle in self.needles:
            if len(needle) <= left and memcmp(at, <const unsigned char *>needle, len(needle)) == 0:
                return True
        return False


cdef bint has_escapes(bytes text) noexcept:
    """Whether JSON may have written characters of ASCII as their numbers: \\u0020 to \\u007f."""
    cdef const char *at = text
    cdef const char *end = at + len(text)
    while True:
        at = <const char *>memchr(at, b"\\", end - at)
        if at is NULL or end - at < 6:
            return False
        at += 1
        if at[0] == b"u" and at[1] == b"0" and at[2] == b"0" and b"2" <= at[3] <= b"7":
            return True


cdef bint is_ascii(bytes text) noexcept:
    cdef const unsigned char *at = text
    cdef unsigned char seen = 0
    cdef Py_ssize_t index
    for index in range(len(text)):
        seen |= at[index]
    return seen < 128
