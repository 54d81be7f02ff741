"""The compiled core: token buckets, the retry classifier, the metrics slabs, a search, a set of
claims, lines, plain chat completions, results with their columns and counts, the prediction of
tokens, the text of plain templates, and a request's way out: gate, ticket, charge.

Compiled because each is called several times per record by every worker, and because the buckets
need memory order, which Python has no word for. Each is a file of its own, included below; here is
what they share.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.object cimport PyObject, PyObject_TypeCheck, PyTypeObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport ceil
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t, uintptr_t
from libc.string cimport memchr, memcmp, memcpy, memset

cdef extern from "_atomics.h" nogil:
    ctypedef int64_t word "penstock_word"
    int64_t load_relaxed(const word *)
    int64_t load_acquire(const word *)
    void store_relaxed(word *, int64_t)
    void store_release(word *, int64_t)
    int64_t add_relaxed(word *, int64_t)
    int64_t add_release(word *, int64_t)
    bint compare_and_swap(word *, int64_t *, int64_t)
    bint raise_to(word *, int64_t)
    void add_alone(word *, int64_t)
    void fence_acquire()
    void fence_release()

cdef extern from * nogil:
    """
    #include <time.h>

    static inline int64_t clock_now_ns(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }

    static inline int64_t clock_wall_us(void) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    }
    """
    int64_t clock_now_ns()
    int64_t clock_wall_us()


cdef enum:
    WORD = 8
    LINE = 64

LINE_BYTES = LINE


def monotonic_ns():
    """CLOCK_MONOTONIC, in ns."""
    return clock_now_ns()


def wall_us():
    return clock_wall_us()


@cython.final
@cython.internal
cdef class Memory:
    """A borrowed stretch of a writable buffer, which stays exported while this lives."""

    cdef Py_buffer view
    cdef bint held
    cdef word *words

    def __cinit__(self, memory, Py_ssize_t offset, Py_ssize_t size):
        PyObject_GetBuffer(memory, &self.view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.held = True
        if offset < 0 or offset % LINE:
            raise ValueError(f"offset {offset} is not a multiple of {LINE}")
        if offset > self.view.len or size > self.view.len - offset:
            raise ValueError(
                f"{size} bytes at offset {offset} do not fit in a buffer of {self.view.len}"
            )
        if <uintptr_t>self.view.buf % WORD:
            raise ValueError("the buffer is not aligned to 8 bytes")
        self.words = <word *>(<char *>self.view.buf + offset)

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


include "_terms.pxi"
include "_limiter.pxi"
include "_classifier.pxi"
include "_slab.pxi"
include "_needles.pxi"
include "_claims.pxi"
include "_lines.pxi"
include "_field.pxi"
include "_columns.pxi"
include "_predictor.pxi"
include "_pieces.pxi"
include "_gate.pxi"
include "_tickets.pxi"
include "_sending.pxi"
include "_chat.pxi"
include "_results.pxi"
