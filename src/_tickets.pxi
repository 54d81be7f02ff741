# The tickets of one limiter that are to be had at once, which nearly all are. Who finds none stands
# in a line, and nobody passes that; `engine/pacer` says how it moves.


@cython.final
cdef class Tickets:
    cdef readonly Limiter limiter
    cdef readonly object line
    cdef public bint stopped, held
    cdef object clock

    def __init__(self, Limiter limiter not None, clock):
        self.limiter = limiter
        self.line = deque()
        self.clock = clock

    cpdef int64_t take(self, int64_t input_tokens, int64_t output_tokens) except -1:
        cdef int64_t now_ns
        if self.stopped or self.held or self.line:
            return 0
        now_ns = self.clock()
        return now_ns if self.limiter.reserve(now_ns, 0, input_tokens, output_tokens) >= 0 else 0
