# The buffers of an Arrow column, filled from one field of many structs: what pyarrow does for any type
# and with checks of every kind takes three times as long, and is done 27 times a batch.

DEF MOST_TEXT = 0x7FFFFFFF  # bytes of a column: offsets have 32 bits


@cython.final
@cython.internal
cdef class Validity:
    """Which values are there, as a bitmap; none is made as long as all are."""

    cdef bytes bitmap
    cdef unsigned char *bits
    cdef Py_ssize_t count, nulls

    def __cinit__(self, Py_ssize_t count):
        self.count = count

    cdef int miss(self, Py_ssize_t at) except -1:
        """Value `at` is not there; to be called in ascending order."""
        cdef Py_ssize_t size = (self.count + 7) >> 3
        if self.bits == NULL:
            self.bitmap = PyBytes_FromStringAndSize(NULL, size)
            self.bits = <unsigned char *>PyBytes_AS_STRING(self.bitmap)
            memset(self.bits, 0xFF, size)
            if self.count & 7:
                self.bits[size - 1] = (1 << (self.count & 7)) - 1
        self.bits[at >> 3] &= ~(1 << (at & 7))
        self.nulls += 1
        return 0


def pack_int64(tuple structs not None, Field field not None):
    cdef Py_ssize_t at, count = len(structs)
    cdef Validity validity = Validity(count)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, count * 8)
    cdef int64_t *numbers = <int64_t *>PyBytes_AS_STRING(data)
    cdef int overflow = 0
    cdef object value
    for at in range(count):
        value = field.get(structs[at])
        if value is None:
            numbers[at] = 0
            validity.miss(at)
            continue
        if not isinstance(value, int):
            raise TypeError(f"no whole number: {value!r}")
        numbers[at] = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            numbers[at] = INT64_MAX if overflow > 0 else INT64_MIN
    return validity.nulls, validity.bitmap, data


def pack_float64(tuple structs not None, Field field not None):
    cdef Py_ssize_t at, count = len(structs)
    cdef Validity validity = Validity(count)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, count * 8)
    cdef double *numbers = <double *>PyBytes_AS_STRING(data)
    cdef object value
    for at in range(count):
        value = field.get(structs[at])
        if value is None:
            numbers[at] = 0
            validity.miss(at)
        else:
            numbers[at] = value
    return validity.nulls, validity.bitmap, data


def pack_bool(tuple structs not None, Field field not None):
    cdef Py_ssize_t at, count = len(structs)
    cdef Py_ssize_t size = (count + 7) >> 3
    cdef Validity validity = Validity(count)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *bits = <unsigned char *>PyBytes_AS_STRING(data)
    cdef object value
    memset(bits, 0, size)
    for at in range(count):
        value = field.get(structs[at])
        if value is None:
            validity.miss(at)
        elif value is True:
            bits[at >> 3] |= 1 << (at & 7)
        elif value is not False:
            raise TypeError(f"neither true nor false: {value!r}")
    return validity.nulls, validity.bitmap, data


def pack_text(tuple structs not None, Field field not None):
    cdef Py_ssize_t at, size, total = 0, count = len(structs)
    cdef Validity validity = Validity(count)
    cdef bytes offsets = PyBytes_FromStringAndSize(NULL, (count + 1) * 4)
    cdef int *ends = <int *>PyBytes_AS_STRING(offsets)
    cdef bytes data
    cdef char *into
    cdef const char *text
    cdef dict mended = {}  # by their place, of texts with a lone surrogate
    cdef object value
    ends[0] = 0
    for at in range(count):
        value = field.get(structs[at])
        if value is None:
            validity.miss(at)
        else:
            try:
                PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:  # a lone surrogate
                mended[at] = value.encode("utf-8", "replace").decode()
                PyUnicode_AsUTF8AndSize(mended[at], &size)
            total += size
            if total > MOST_TEXT:
                raise OverflowError(f"a column of more than {MOST_TEXT} bytes of text")
        ends[at + 1] = <int>total
    data = PyBytes_FromStringAndSize(NULL, total)
    into = PyBytes_AS_STRING(data)
    for at in range(count):
        value = field.get(structs[at])
        if value is not None:
            if mended:
                value = mended.get(at, value)
            text = PyUnicode_AsUTF8AndSize(value, &size)
            if size != ends[at + 1] - ends[at]:  # else it would be written beyond the end
                raise RuntimeError(f"{field.name} was changed while it was packed")
            memcpy(into, text, size)
            into += size
    return validity.nulls, validity.bitmap, offsets, data
