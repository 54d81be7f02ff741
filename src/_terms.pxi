# The terms of a bucket: what its limit means in time (the names are those of _limiter.pxi), and how
# they are read and changed whole while others work with them.

cdef extern from * nogil:
    """
    /* An integer number of ns per token would err by percents at high rates, and the product of a
       daily window and a token limit does not fit in 64 bits. */
    static inline int64_t multiply_divide_up(int64_t a, int64_t b, int64_t divisor) {
        unsigned __int128 product = (unsigned __int128)(uint64_t)a * (uint64_t)b;
        uint64_t by = (uint64_t)divisor;
        if ((product >> 64) == 0 && (uint64_t)product <= UINT64_MAX - by) {
            return (int64_t)(((uint64_t)product + by - 1) / by);
        }
        product = (product + by - 1) / by;
        return product > INT64_MAX ? INT64_MAX : (int64_t)product;
    }
    """
    int64_t multiply_divide_up(int64_t a, int64_t b, int64_t divisor)

cdef int64_t MAX_TIME = 1 << 60  # sums of a few of them still fit in 64 bits


cdef struct Terms:
    int64_t limit
    int64_t units
    int64_t span_ns
    int64_t tau_ns
    int64_t window_ns
    int64_t late_ns
    int64_t since_ns


cdef inline int64_t cost_ns(const Terms *terms, int64_t cost) noexcept nogil:
    return multiply_divide_up(min(cost, terms.limit), terms.span_ns, terms.units)


cdef int make_terms(
    Terms *terms, int64_t limit, int64_t window_ns, int64_t ceiling, int64_t late_ns
) except -1:
    if limit < 1 or not 1 <= ceiling <= limit:
        raise ValueError(f"limit {limit} and ceiling {ceiling} are not 1 <= ceiling <= limit")
    if not 1 <= window_ns <= MAX_TIME // 8 or not 0 <= late_ns <= MAX_TIME // 8:
        raise ValueError(f"window {window_ns} ns or lateness {late_ns} ns is out of range")
    terms.limit = limit
    terms.units = limit + 1 - ceiling
    terms.span_ns = window_ns + late_ns
    terms.window_ns = window_ns
    terms.late_ns = late_ns
    terms.tau_ns = cost_ns(terms, ceiling)
    if cost_ns(terms, limit) > MAX_TIME // 4:
        raise ValueError(f"limit {limit} per {window_ns} ns with ceiling {ceiling} is out of range")
    return 0


cdef inline int64_t read_terms(const word *bucket, Terms *terms) noexcept nogil:
    """Copies the published parameters, whole; returns their version, 0 where there are none yet."""
    cdef int64_t version
    cdef const word *slot
    while True:
        version = load_acquire(bucket + VERSION)
        slot = bucket + TERMS + TERMS_WORDS * (version & 1)
        terms.limit = load_relaxed(slot)
        terms.units = load_relaxed(slot + 1)
        terms.span_ns = load_relaxed(slot + 2)
        terms.tau_ns = load_relaxed(slot + 3)
        terms.window_ns = load_relaxed(slot + 4)
        terms.late_ns = load_relaxed(slot + 5)
        terms.since_ns = load_relaxed(slot + 6)
        fence_acquire()
        if load_relaxed(bucket + VERSION) == version:
            return version


cdef void publish_terms(word *bucket, const Terms *terms) noexcept nogil:
    """Fills the slot that nobody reads, then makes it the one that all read."""
    cdef int64_t version = load_relaxed(bucket + VERSION) + 1
    cdef word *slot = bucket + TERMS + TERMS_WORDS * (version & 1)
    fence_release()
    store_relaxed(slot, terms.limit)
    store_relaxed(slot + 1, terms.units)
    store_relaxed(slot + 2, terms.span_ns)
    store_relaxed(slot + 3, terms.tau_ns)
    store_relaxed(slot + 4, terms.window_ns)
    store_relaxed(slot + 5, terms.late_ns)
    store_relaxed(slot + 6, terms.since_ns)
    store_release(bucket + VERSION, version)


cdef int64_t owed_anew(int64_t ahead_ns, const Terms *old, const Terms *new) noexcept nogil:
    """How far TAT lies beyond that of an empty bucket (negative: a level), for the same units in
    new terms; at least a full bucket, at most a window of debt."""
    cdef double units = (ahead_ns - old.tau_ns) * (old.units / <double>old.span_ns)
    cdef double owed_ns = ceil(units / (new.units / <double>new.span_ns))
    cdef int64_t most_ns = cost_ns(new, new.limit)
    if owed_ns >= most_ns:
        return most_ns
    return -new.tau_ns if owed_ns <= -new.tau_ns else <int64_t>owed_ns
