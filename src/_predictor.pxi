# What a request will cost in tokens, learned online from what earlier ones did.
#
# Input: tokens per byte of the body, a running mean. Output: a high quantile of the last answers,
# for a charge that is too low lets a burst through while one that is too high is refunded when it
# settles; what the request allows bounds it, but is not taken for it.

from libc.stdlib cimport qsort

FIRST_OUTPUT_TOKENS = 256

cdef enum:
    WINDOW = 128  # answers
    EVERY = 64  # answers between two looks at the window, at most: it has to be sorted for it

cdef double FIRST_TOKENS_PER_BYTE = 0.25
cdef double QUANTILE = 0.8
cdef double SMOOTHING = 0.05


cdef int by_size(const void *one, const void *other) noexcept nogil:
    cdef int64_t left = (<const int64_t *>one)[0], right = (<const int64_t *>other)[0]
    return (left > right) - (left < right)


@cython.final
cdef class TokenPredictor:
    cdef double per_byte
    cdef int64_t output
    cdef int64_t recent[WINDOW]  # output tokens, the oldest overwritten first
    cdef int64_t seen
    cdef int64_t look_at  # so many answers; then at twice as many, and so on

    def __cinit__(self, int64_t first_output=FIRST_OUTPUT_TOKENS):
        self.per_byte = FIRST_TOKENS_PER_BYTE
        self.output = first_output
        self.look_at = 1

    cdef inline int64_t input_of(self, int64_t body_bytes) noexcept:
        return max(<int64_t>1, <int64_t>(body_bytes * self.per_byte + 0.5))

    cdef inline int64_t output_of(self, int64_t most_output) noexcept:
        return min(self.output, most_output) if most_output else self.output

    def predict(self, int64_t body_bytes, int64_t most_output):
        return self.input_of(body_bytes), self.output_of(most_output)

    cpdef learn(self, int64_t body_bytes, int64_t input_tokens, int64_t output_tokens):
        if body_bytes > 0:
            self.per_byte += SMOOTHING * (<double>input_tokens / body_bytes - self.per_byte)
        self.recent[self.seen % WINDOW] = output_tokens
        self.seen += 1
        if self.seen >= self.look_at:
            self.look_at = self.seen + min(self.seen, <int64_t>EVERY)
            self.look()

    cdef void look(self) noexcept:
        cdef int64_t ordered[WINDOW]
        cdef int64_t count = min(self.seen, <int64_t>WINDOW)
        memcpy(ordered, self.recent, count * sizeof(int64_t))
        qsort(ordered, count, sizeof(int64_t), by_size)
        self.output = ordered[min(count - 1, <int64_t>(count * QUANTILE))]
