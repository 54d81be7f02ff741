# What a record's end takes, whichever way it ends: its result, what it weighs, what it counts.
#
# All of it is read from structs and written into one; in Python that was a fifth of the instructions
# that a record took in its worker.

cdef tuple RESULT_FIELDS = (
    "row", "id", "outcome", "output", "tool_calls", "reasoning", "finish_reason", "truncated",
    "model", "endpoint", "http_status", "request_id", "input_tokens", "cached_input_tokens",
    "output_tokens", "reasoning_tokens", "cost_usd", "attempts", "latency_seconds",
    "elapsed_seconds", "finished_at", "error_class", "error_message", "request_hash", "source",
    "generation", "response",
)


@cython.final
cdef class ResultMaker:
    cdef object make, nothing, together, usd, source, succeeded, failed, generation
    cdef bint keeps_failed, keeps_succeeded
    cdef Field record, request, spent, cost_pusd, attempts, first_ns  # of what is pending
    cdef Field row, id  # of its record
    cdef Field request_hash
    cdef Field found, refusal, body, status, request_id, latency_seconds  # of its last attempt
    cdef Field message
    cdef Field output, tool_calls, reasoning, finish_reason, truncated, model  # of its answer
    cdef Field input_tokens, cached_input_tokens, output_tokens, reasoning_tokens

    def __init__(
        self, result, pending, record, request, attempt, answer, refusal, together, usd,
        tuple words not None, generation, tuple keeps not None
    ):
        must_have(result, RESULT_FIELDS)
        self.make = result
        self.nothing = answer()
        self.together = together
        self.usd = usd
        self.succeeded, self.failed, self.source = words
        self.generation = generation
        self.keeps_failed, self.keeps_succeeded = keeps
        self.record = Field(pending, "record")
        self.request = Field(pending, "request")
        self.spent = Field(pending, "spent")
        self.cost_pusd = Field(pending, "cost_pusd")
        self.attempts = Field(pending, "attempts")
        self.first_ns = Field(pending, "first_ns")
        self.row = Field(record, "row")
        self.id = Field(record, "id")
        self.request_hash = Field(request, "request_hash")
        self.found = Field(attempt, "answer")
        self.refusal = Field(attempt, "refusal")
        self.body = Field(attempt, "body")
        self.status = Field(attempt, "status")
        self.request_id = Field(attempt, "request_id")
        self.latency_seconds = Field(attempt, "latency_seconds")
        self.message = Field(refusal, "message")
        self.output = Field(answer, "output")
        self.tool_calls = Field(answer, "tool_calls")
        self.reasoning = Field(answer, "reasoning")
        self.finish_reason = Field(answer, "finish_reason")
        self.truncated = Field(answer, "truncated")
        self.model = Field(answer, "model")
        self.input_tokens = Field(answer, "input_tokens")
        self.cached_input_tokens = Field(answer, "cached_input_tokens")
        self.output_tokens = Field(answer, "output_tokens")
        self.reasoning_tokens = Field(answer, "reasoning_tokens")

    def of(
        self, pending, attempt, str error_class not None, endpoint, int64_t now_ns, finished_at
    ):
        cdef object record = self.record.get(pending), request = self.request.get(pending)
        cdef object answer = self.found.get(attempt), refusal = self.refusal.get(attempt)
        cdef object spent = self.spent.get(pending), cost = self.cost_pusd.get(pending)
        cdef object body = self.body.get(attempt), response = None
        cdef bint succeeded = answer is not None and not error_class
        cdef int64_t first_ns = self.first_ns.get(pending)
        if answer is None:
            answer = self.nothing
        if spent is not None:
            answer = self.together(answer, spent)
        if body and (self.keeps_succeeded if succeeded else self.keeps_failed):
            response = body.decode("utf-8", "replace")
        return self.make(  # by position: as in RESULT_FIELDS
            self.row.get(record),
            self.id.get(record),
            self.succeeded if succeeded else self.failed,
            self.output.get(answer),
            self.tool_calls.get(answer),
            self.reasoning.get(answer),
            self.finish_reason.get(answer),
            self.truncated.get(answer),
            self.model.get(answer),
            endpoint,
            self.status.get(attempt) or None,
            self.request_id.get(attempt),
            self.input_tokens.get(answer),
            self.cached_input_tokens.get(answer),
            self.output_tokens.get(answer),
            self.reasoning_tokens.get(answer),
            None if cost is None else self.usd(cost),
            self.attempts.get(pending),
            self.latency_seconds.get(attempt),
            (now_ns - first_ns) / 1e9,
            finished_at,
            None if succeeded else error_class,
            None if succeeded or refusal is None else self.message.get(refusal),
            None if request is None else self.request_hash.get(request),
            self.source,
            self.generation,
            response,
        )


@cython.final
cdef class Sizes:
    cdef Py_ssize_t least
    cdef tuple fields

    def __init__(self, Py_ssize_t least, tuple fields not None):
        self.least = least
        self.fields = fields

    def of(self, struct):
        cdef Py_ssize_t size = self.least
        cdef Field field
        cdef object text
        for field in self.fields:
            text = field.get(struct)
            if text is not None:
                size += len(<str?>text)
        return size


@cython.final
cdef class EndCounter:
    cdef Slab slab
    cdef tuple fields
    cdef int succeeded, failed, uncached, cached, visible, reasoning

    def __init__(self, Slab slab not None, answer, tuple cells not None):
        names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
        self.slab = slab
        self.fields = tuple(Field(answer, name) for name in names)
        self.succeeded, self.failed = cells[:2]
        self.uncached, self.cached, self.visible, self.reasoning = cells[2:]

    def ended(self, answer, bint failed):
        add_alone(self.slab.counter(self.failed if failed else self.succeeded), 1)
        if answer is not None:
            self.spent(answer)

    cpdef spent(self, answer):
        # Servers say anything: a part may be larger than its whole, or less than nothing.
        cdef int64_t cached = max(<int64_t>0, self.count(answer, 1))
        cdef int64_t reasoning = max(<int64_t>0, self.count(answer, 3))
        cdef int64_t uncached = max(<int64_t>0, self.count(answer, 0) - cached)
        cdef int64_t visible = max(<int64_t>0, self.count(answer, 2) - reasoning)
        add_alone(self.slab.counter(self.uncached), uncached)
        add_alone(self.slab.counter(self.cached), cached)
        add_alone(self.slab.counter(self.visible), visible)
        add_alone(self.slab.counter(self.reasoning), reasoning)

    cdef int64_t count(self, answer, Py_ssize_t which) except? -1:
        """One kind of an answer's tokens; none that are not known."""
        cdef object count = (<Field>self.fields[which]).get(answer)
        return 0 if count is None else count
