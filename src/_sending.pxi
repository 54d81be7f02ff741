# A request's way out: its prediction, the gate, the ticket, and what becomes of both.
#
# Each request of each record takes it, mostly without waiting for anything; then all of it is a few
# calls. What waits is a coroutine of the asker's.


@cython.final
cdef class Traffic:
    cdef readonly Gate gate
    cdef readonly Tickets tickets
    cdef readonly Slab slab
    cdef public TokenPredictor predictor
    cdef readonly int64_t waiting, in_flight
    cdef readonly int64_t answers, answers_ns, output_tokens
    cdef object clock, wait
    cdef int wait_cell, sent_cell, answered_cell, histogram

    def __init__(
        self, Gate gate not None, Tickets tickets not None, Slab slab not None,
        TokenPredictor predictor not None, tuple cells not None, clock, wait
    ):
        self.gate = gate
        self.tickets = tickets
        self.slab = slab
        self.predictor = predictor
        self.wait_cell, self.sent_cell, self.answered_cell, self.histogram = cells
        self.clock = clock
        self.wait = wait


@cython.final
@cython.no_gc  # it holds what lives as long as the worker, and is held by its coroutine alone
@cython.freelist(64)
cdef class Sending:
    cdef readonly Traffic traffic
    cdef readonly int64_t input_tokens, output_tokens, charged_ns, sent_ns
    cdef readonly bint alone
    cdef readonly object purse
    cdef readonly int64_t held_pusd
    cdef int64_t weight_bytes, wanted_ns
    cdef bint at_gate

    def __init__(self, Traffic traffic not None, int64_t weight_bytes, int64_t most_output):
        self.traffic = traffic
        self.weight_bytes = weight_bytes
        self.input_tokens = traffic.predictor.input_of(weight_bytes)
        self.output_tokens = traffic.predictor.output_of(most_output)
        self.wanted_ns = traffic.clock()
        traffic.waiting += 1

    def pay(self, purse, held_pusd):
        self.purse, self.held_pusd = purse, held_pusd

    def enter(self):
        self.at_gate = not self.traffic.tickets.stopped and self.traffic.gate.enter()
        return self.at_gate

    def entered(self):
        self.at_gate = True

    def ready(self):
        cdef int64_t charged_ns = self.traffic.tickets.take(self.input_tokens, self.output_tokens)
        if charged_ns == 0:
            return self.traffic.wait(self)
        self.go(charged_ns, charged_ns)

    cpdef go(self, int64_t charged_ns, int64_t sent_ns):
        cdef Traffic traffic = self.traffic
        self.charged_ns, self.sent_ns = charged_ns, sent_ns
        self.leave()
        add_alone(traffic.slab.counter(traffic.wait_cell), sent_ns - self.wanted_ns)
        add_alone(traffic.slab.counter(traffic.sent_cell), 1)
        if self.purse is not None:
            self.purse.sent(self.held_pusd)
        self.alone = traffic.in_flight == 0
        traffic.in_flight += 1

    def ended(self):
        if self.sent_ns:
            self.traffic.in_flight -= 1
        else:
            self.leave()

    cdef int leave(self) except -1:
        """Wait no more."""
        self.traffic.waiting -= 1
        if self.at_gate:
            self.at_gate = False
            self.traffic.gate.leave()
        return 0

    def answered(self, int64_t sent_ns, int64_t done_ns, input_tokens, output_tokens):
        cdef Traffic traffic = self.traffic
        cdef int64_t inputs, outputs
        self.count(traffic.answered_cell, sent_ns, done_ns)
        if sent_ns:
            traffic.answers += 1
            traffic.answers_ns += done_ns - sent_ns
        if self.charged_ns:
            inputs = self.input_tokens if input_tokens is None else input_tokens
            outputs = self.output_tokens if output_tokens is None else output_tokens
            traffic.predictor.learn(self.weight_bytes, inputs, outputs)
            traffic.output_tokens += outputs
            self.settle(inputs, outputs)

    def unanswered(self, int cell, int64_t sent_ns, int64_t done_ns):
        self.count(cell, sent_ns, done_ns)
        if self.charged_ns:
            self.settle(self.input_tokens, 0)

    cdef int count(self, int cell, int64_t sent_ns, int64_t done_ns) except -1:
        cdef Slab slab = self.traffic.slab
        add_alone(slab.counter(cell), 1)
        if sent_ns:
            slab.record(self.traffic.histogram, (done_ns - sent_ns) // 1000)
        return 0

    cdef int settle(self, int64_t inputs, int64_t outputs) except -1:
        cdef Traffic traffic = self.traffic
        traffic.tickets.limiter.settle(
            self.charged_ns, traffic.clock(), self.input_tokens, self.output_tokens, inputs, outputs
        )
        return 0
