# The slab: a worker's own counters and histograms.
#
# Plain 64-bit cells. A cell has one writer, so that adding needs no locked instruction; relaxed
# atomics keep a reader in another process from seeing half a value. Histograms are log-linear: exact
# up to 127, then 64 buckets to an octave, so that the middle of a bucket is within 1/128 of all it
# holds, and two histograms are summed cell by cell.

cdef extern from * nogil:
    """
    static inline int bits(int64_t value) {
        return value ? 64 - __builtin_clzll((unsigned long long)value) : 0;
    }
    """
    int bits(int64_t value)

cdef enum:
    SUB_BUCKET_BITS = 6
    SUB_BUCKETS = 1 << SUB_BUCKET_BITS
    VALUE_BITS = 42
    BUCKETS = SUB_BUCKETS * (VALUE_BITS - SUB_BUCKET_BITS + 1)
    HISTOGRAM_WORDS = BUCKETS + 8
    MAX_CELLS = 1 << 20

cdef int64_t MAX_VALUE = (<int64_t>1 << VALUE_BITS) - 1

HISTOGRAM_BUCKETS = BUCKETS
HISTOGRAM_ERROR = 1.0 / (2 * SUB_BUCKETS)


cdef inline int bucket_index(int64_t value) noexcept nogil:
    cdef int64_t held = min(value, MAX_VALUE)
    cdef int shift = max(0, bits(held) - SUB_BUCKET_BITS - 1)
    return SUB_BUCKETS * shift + <int>(held >> shift)


cdef inline int64_t bucket_lower(int bucket) noexcept nogil:
    cdef int shift = max(0, bucket // SUB_BUCKETS - 1)
    return <int64_t>(bucket - SUB_BUCKETS * shift) << shift


@cython.final
cdef class Slab:
    cdef Memory memory
    cdef word *cells
    cdef word *sums
    cdef int counter_count
    cdef int histogram_count

    @staticmethod
    def bytes_needed(int counters, int histograms):
        if not 0 <= counters <= MAX_CELLS or not 0 <= histograms <= MAX_CELLS // BUCKETS:
            raise ValueError(f"{counters} counters and {histograms} histograms are out of range")
        return ((counters + 7) // 8 * 8 + histograms * HISTOGRAM_WORDS) * WORD

    def __cinit__(self, memory, Py_ssize_t offset, int counters, int histograms):
        self.memory = Memory(memory, offset, Slab.bytes_needed(counters, histograms))
        self.cells = self.memory.words
        self.sums = self.cells + (counters + 7) // 8 * 8
        self.counter_count = counters
        self.histogram_count = histograms

    cdef inline word *counter(self, int index) except NULL:
        if not 0 <= index < self.counter_count:
            raise IndexError(f"counter {index} of {self.counter_count}")
        return self.cells + index

    cdef inline word *histogram_at(self, int index) except NULL:
        if not 0 <= index < self.histogram_count:
            raise IndexError(f"histogram {index} of {self.histogram_count}")
        return self.sums + index * HISTOGRAM_WORDS

    def add(self, int counter, int64_t amount):
        add_alone(self.counter(counter), amount)

    def add_each(self, tuple counters not None, tuple amounts not None):
        cdef Py_ssize_t index
        if len(counters) != len(amounts):
            raise ValueError(f"{len(amounts)} amounts for {len(counters)} counters")
        for index in range(len(counters)):
            add_alone(self.counter(counters[index]), amounts[index])

    def set(self, int counter, int64_t value):
        store_relaxed(self.counter(counter), value)

    def get(self, int counter):
        return load_relaxed(self.counter(counter))

    cpdef record(self, int histogram, int64_t value):
        cdef word *at = self.histogram_at(histogram)
        if value < 0:
            raise ValueError(f"a histogram holds no negative value: {value}")
        add_alone(at, value)
        add_alone(at + 8 + bucket_index(value), 1)

    def counters(self):
        cdef int index
        return [load_relaxed(self.cells + index) for index in range(self.counter_count)]

    def histogram(self, int histogram):
        cdef int index
        cdef word *at = self.histogram_at(histogram) + 8
        return [load_relaxed(at + index) for index in range(BUCKETS)]

    def total(self, int histogram):
        return load_relaxed(self.histogram_at(histogram))


def bucket_of(int64_t value):
    if value < 0:
        raise ValueError(f"a histogram holds no negative value: {value}")
    return bucket_index(value)


def bucket_upper(int bucket):
    if not 0 <= bucket < BUCKETS:
        raise IndexError(f"bucket {bucket} of {BUCKETS}")
    return bucket_lower(bucket + 1) - 1


def quantile(counts, double q):
    cdef int64_t total = 0, reached = 0, rank
    cdef int index = 0
    if not 0 <= q <= 1:
        raise ValueError(f"quantile {q} is not within 0..1")
    if len(counts) != BUCKETS:
        raise ValueError(f"{len(counts)} counts, not {BUCKETS}")
    for count in counts:
        total += count
    if total == 0:
        return 0.0
    rank = max(1, <int64_t>ceil(q * total))
    for count in counts:
        reached += count
        if reached >= rank:
            break
        index += 1
    return (bucket_lower(index) + bucket_lower(index + 1) - 1) / 2.0
