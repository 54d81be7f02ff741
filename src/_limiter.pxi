# The limiter: the token buckets of an endpoint, shared by all workers.
#
# GCRA on one 64-bit word per bucket, the theoretical arrival time (TAT). For at most N in any window
# W, with tickets that are void when used later than due + L, and a ceiling B:
#
#     units = N + 1 - B      span = W + L      T(c) = ceil(c * span / units)      tau = T(B)
#
#     due     = max(now, TAT + T - tau)
#     new TAT = max(TAT, due) + T
#
# The promise: tickets that are sent within [due, due + L] cost at most N in any half-open window of
# length W. Proof. What is sent in such a window was due in some [a, a + span). Of the tickets due
# there let i be the first and j the last in the order of their compare-and-swaps. Ticket i left TAT
# at due_i + T_i or later and each after it added its own T, so due_j, which is not before TAT + T_j -
# tau, is not before due_i + sum(T) - tau. Hence sum(T) <= due_j - due_i + tau < span + tau. All are
# integers, so the rounding up of tau is more than eaten by "<", and sum(c) < units + B = N + 1. (A
# ticket alone in its window costs at most N: larger costs are taken as N.)
#
# The usual rate = (N - B) / W is wrong twice: it forgets that tickets are used late, and it gives a
# unit away. Charging a cost above the ceiling as a full bucket is wrong too: it exceeds what the
# window before it left. Here it waits until the bucket has been idle for that much longer. In a busy
# bucket it so costs T - tau of idleness besides its T: the ceiling should cover the usual cost.
#
# Several buckets. A ticket waits for the slowest of its buckets, and each bucket is charged as of the
# moment when the ticket is due, not of the moment of asking: otherwise a quick bucket would count it
# up to a horizon before it is sent, and the promise would break there. Nothing is lost by that: once
# a ticket waits in a bucket, each later one that costs something there waits at least as long. The
# slowest bucket is charged first; if it has moved, nothing was taken and the look begins anew. If
# another bucket has moved so far that the ticket would be due later, what was taken stays taken:
# giving it back exactly is impossible once others have built on it, and losing a ticket is rare: the
# other must come within the some 100 ns between the look and the charge.
#
# Refunds. A ticket charged c and found to have used less gives back R = T(c) - T(used), reduced by
# how far the dues of the bucket have moved on since the ticket's own. Let X be the TAT if the used
# cost had been charged at once. TAT is a maximum of sums "a due and what was charged since", so it
# exceeds X by R, unless X has a later due in it, at most the newest one, and then by at least
# R - (newest due - own due). So the refund never goes below X, and X keeps the promise for what was
# really used. The bucket keeps its newest due (the mark), which moves before TAT does.
#
# Debits only ever raise TAT. They make good later for what could not be known when it was sent.
#
# Pause and tune move everything else first and the generation last. A ticket that carries the new
# generation has therefore seen all of it, and any other is void: that is when they happen, at once
# for everybody. Killed half way, a pause already holds for every later ticket. A pause leaves empty
# buckets; a tune keeps the level, in units and up to the new ceiling, so that it never gains a burst,
# and often repeated does not starve the bucket.
#
# A lifted bucket bounds nothing and is charged nothing; it is there to be tuned once a limit is known.
# Then it is empty, and what was sent before can be debited.
#
# TAT is read before the parameters and the mark, and pause and tune always change it, be it by 1 ns:
# who works with old parameters or an old mark then also works with an old TAT, and fails to swap it.

cdef enum:
    # Words of the endpoint's header. What all read and few write has lines of its own.
    GENERATION = 0
    PAUSED_UNTIL = 1
    FAILURES = 8
    THROTTLES = 9
    PROBE_AT = 10
    COLLISIONS = 16
    HEADER_WORDS = 24
    # Words of a bucket.
    TAT = 0
    MARK = 1
    VERSION = 2
    RESOURCE = 3
    LIFTED = 4
    TERMS = 8
    TERMS_WORDS = 8
    BUCKET_WORDS = TERMS + 2 * TERMS_WORDS
    MAX_BUCKETS = 64
    # What a bucket counts.
    OF_REQUESTS = 0
    OF_ALL_TOKENS = 1
    OF_INPUT = 2
    OF_OUTPUT = 3
    # What blocks a reservation, where it is not a bucket.
    NOTHING = -1
    THE_PAUSE = -2

REQUESTS = OF_REQUESTS
TOTAL_TOKENS = OF_ALL_TOKENS
INPUT_TOKENS = OF_INPUT
OUTPUT_TOKENS = OF_OUTPUT
PAUSED = THE_PAUSE


cdef struct Look:
    int64_t version
    int64_t time_ns
    int64_t lead_ns  # how long after TAT the ticket is due; negative within the burst
    bint refundable


cdef inline int64_t cost_in(int64_t resource, int64_t inputs, int64_t outputs) noexcept nogil:
    if resource == OF_REQUESTS:
        return 1
    if resource == OF_ALL_TOKENS:
        return inputs + outputs
    return inputs if resource == OF_INPUT else outputs


cdef inline int check_time(int64_t time_ns) except -1:
    if not 0 <= time_ns <= MAX_TIME:
        raise ValueError(f"time {time_ns} ns is out of range")
    return 0


cdef inline int check_tokens(int64_t inputs, int64_t outputs) except -1:
    if not 0 <= inputs <= MAX_TIME or not 0 <= outputs <= MAX_TIME:
        raise ValueError(f"token counts {inputs} and {outputs} are out of range")
    return 0


cdef class Limiter:  # not final, so that a test may look on
    cdef Memory memory
    cdef word *header
    cdef int buckets
    cdef readonly int64_t generation
    cdef readonly int blocking

    @staticmethod
    def bytes_needed(int buckets):
        if not 0 <= buckets <= MAX_BUCKETS:
            raise ValueError(f"{buckets} buckets are not within 0..{MAX_BUCKETS}")
        return (HEADER_WORDS + buckets * BUCKET_WORDS) * WORD

    def __cinit__(self, memory, Py_ssize_t offset, int buckets):
        self.memory = Memory(memory, offset, Limiter.bytes_needed(buckets))
        self.header = self.memory.words
        self.buckets = buckets
        self.blocking = NOTHING

    cdef inline word *bucket(self, int index) noexcept nogil:
        return self.header + HEADER_WORDS + index * BUCKET_WORDS

    cdef word *checked(self, int index) except NULL:
        if not 0 <= index < self.buckets:
            raise IndexError(f"bucket {index} of {self.buckets}")
        return self.bucket(index)

    cdef int terms_of(self, int index, Terms *terms) except -1:
        if not read_terms(self.checked(index), terms):
            raise RuntimeError(f"bucket {index} is not configured")
        return 0

    def configure(
        self,
        int bucket,
        int resource,
        int64_t limit,
        int64_t window_ns,
        int64_t ceiling,
        int64_t late_ns,
        int64_t now_ns,
    ):
        cdef Terms terms
        cdef word *at = self.checked(bucket)
        check_time(now_ns)
        if not OF_REQUESTS <= resource <= OF_OUTPUT:
            raise ValueError(f"resource {resource} is none of the four")
        make_terms(&terms, limit, window_ns, ceiling, late_ns)
        terms.since_ns = now_ns
        store_relaxed(at + RESOURCE, resource)
        store_relaxed(at + LIFTED, 0)
        store_relaxed(at + MARK, now_ns)
        store_relaxed(at + TAT, now_ns + terms.tau_ns)
        publish_terms(at, &terms)

    def lift(self, int bucket):
        cdef Terms terms
        self.terms_of(bucket, &terms)
        store_release(self.checked(bucket) + LIFTED, 1)
        add_release(self.header + GENERATION, 1)

    def debit(self, int bucket, int64_t amount, int64_t now_ns):
        cdef Terms terms
        cdef int64_t tat, moved
        cdef word *at = self.checked(bucket)
        check_time(now_ns)
        check_tokens(amount, 0)
        while True:
            tat = load_acquire(at + TAT)
            self.terms_of(bucket, &terms)
            moved = min(max(tat, now_ns) + cost_ns(&terms, amount),
                        now_ns + terms.tau_ns + terms.window_ns)
            if moved <= tat or compare_and_swap(at + TAT, &tat, moved):
                return
            add_relaxed(self.header + COLLISIONS, 1)

    def tune(
        self,
        int bucket,
        int64_t limit,
        int64_t window_ns,
        int64_t ceiling,
        int64_t late_ns,
        int64_t now_ns,
    ):
        cdef Terms old, new
        cdef word *at = self.checked(bucket)
        cdef int64_t start, seen, moved
        cdef bint was_lifted = load_acquire(at + LIFTED)
        check_time(now_ns)
        self.terms_of(bucket, &old)
        make_terms(&new, limit, window_ns, ceiling, late_ns)
        new.since_ns = max(now_ns, load_acquire(at + MARK)) + 1
        publish_terms(at, &new)
        seen = load_acquire(at + TAT)
        while True:
            start = max(now_ns, load_acquire(self.header + PAUSED_UNTIL))
            moved = start + new.tau_ns
            if not was_lifted:
                moved += owed_anew(max(seen, start) - start, &old, &new)
            if compare_and_swap(at + TAT, &seen, moved if moved != seen else moved + 1):
                break
            add_relaxed(self.header + COLLISIONS, 1)
        store_release(at + LIFTED, 0)
        add_release(self.header + GENERATION, 1)

    cpdef int64_t reserve(
        self, int64_t now_ns, int64_t horizon_ns, int64_t input_tokens, int64_t output_tokens
    ) except? -1:
        cdef Look looks[MAX_BUCKETS]
        cdef int64_t generation, paused_until, due, alone, wait
        cdef int slowest, index
        check_time(now_ns)
        check_time(horizon_ns)
        check_tokens(input_tokens, output_tokens)
        while True:
            generation = load_acquire(self.header + GENERATION)
            paused_until = load_acquire(self.header + PAUSED_UNTIL)
            due = max(now_ns, paused_until)
            slowest = NOTHING
            for index in range(self.buckets):
                alone = self.look(index, input_tokens, output_tokens, &looks[index])
                if alone < 0:
                    raise RuntimeError(f"bucket {index} is not configured")
                if alone > due:
                    due = alone
                    slowest = index
            wait = due - now_ns
            # A pause leaves empty buckets behind, whose own small wait is not what blocks.
            self.blocking = THE_PAUSE if 2 * (paused_until - now_ns) > wait else slowest
            if wait > horizon_ns:
                return -wait
            if self.take(slowest, due, looks):
                self.generation = generation
                return due

    cdef inline int64_t look(
        self, int index, int64_t inputs, int64_t outputs, Look *seen
    ) noexcept nogil:
        """When the ticket would be due by this bucket alone; -1 where it isn't configured."""
        cdef word *at = self.bucket(index)
        cdef int64_t resource = load_relaxed(at + RESOURCE)
        cdef int64_t cost = cost_in(resource, inputs, outputs)
        cdef int64_t tat
        cdef Terms terms
        if load_acquire(at + LIFTED):
            seen.time_ns = 0
            return 0
        tat = load_acquire(at + TAT)
        seen.version = read_terms(at, &terms)
        if seen.version == 0:
            return -1
        seen.refundable = resource != OF_REQUESTS
        seen.time_ns = cost_ns(&terms, cost)
        seen.lead_ns = seen.time_ns - terms.tau_ns
        return max(0, tat + seen.lead_ns) if cost else 0

    cdef bint take(self, int slowest, int64_t due, const Look *looks) noexcept nogil:
        cdef int index
        if slowest >= 0 and not self.charge(slowest, due, &looks[slowest]):
            return False
        for index in range(self.buckets):
            if index != slowest and not self.charge(index, due, &looks[index]):
                return False
        return True

    cdef inline bint charge(self, int index, int64_t due, const Look *seen) noexcept nogil:
        """Charge one bucket as of `due`; False where the ticket would be due later."""
        cdef word *at = self.bucket(index)
        cdef int64_t tat
        if seen.time_ns == 0:
            return True
        while True:
            tat = load_acquire(at + TAT)
            if load_acquire(at + VERSION) != seen.version or tat + seen.lead_ns > due:
                return False
            if seen.refundable:
                raise_to(at + MARK, due)
            if compare_and_swap(at + TAT, &tat, max(tat, due) + seen.time_ns):
                return True
            add_relaxed(self.header + COLLISIONS, 1)

    def valid(self, int64_t due_ns, int64_t generation, int64_t now_ns):
        cdef Terms terms
        cdef int index
        check_time(due_ns)
        check_time(now_ns)
        if load_acquire(self.header + GENERATION) != generation:
            return False
        for index in range(self.buckets):
            if load_acquire(self.bucket(index) + LIFTED):
                continue
            if read_terms(self.bucket(index), &terms) and now_ns - due_ns > terms.late_ns:
                return False
        return True

    cpdef settle(
        self,
        int64_t charged_ns,
        int64_t now_ns,
        int64_t input_predicted,
        int64_t output_predicted,
        int64_t input_used,
        int64_t output_used,
    ):
        cdef int index
        cdef int64_t resource
        check_time(charged_ns)
        check_time(now_ns)
        check_tokens(input_predicted, output_predicted)
        check_tokens(input_used, output_used)
        for index in range(self.buckets):
            resource = load_relaxed(self.bucket(index) + RESOURCE)
            if resource != OF_REQUESTS and not load_acquire(self.bucket(index) + LIFTED):
                self.correct(
                    self.bucket(index),
                    charged_ns,
                    now_ns,
                    cost_in(resource, input_predicted, output_predicted),
                    cost_in(resource, input_used, output_used),
                )

    cdef void correct(
        self, word *at, int64_t charged_ns, int64_t now_ns, int64_t predicted, int64_t used
    ) noexcept nogil:
        cdef Terms terms
        cdef int64_t tat, owed, moved
        while True:
            tat = load_acquire(at + TAT)
            if not read_terms(at, &terms):
                return
            owed = cost_ns(&terms, used) - cost_ns(&terms, predicted)
            if owed < 0 and charged_ns >= terms.since_ns:
                owed = min(0, owed + max(0, load_relaxed(at + MARK) - charged_ns))
                moved = max(0, tat + owed)
            else:
                moved = max(tat, min(tat + owed, now_ns + terms.tau_ns + terms.window_ns))
            if moved == tat or compare_and_swap(at + TAT, &tat, moved):
                return
            add_relaxed(self.header + COLLISIONS, 1)

    def pause(self, int64_t until_ns):
        cdef Terms terms
        cdef int64_t seen, empty
        cdef int index
        cdef word *at
        check_time(until_ns)
        if not raise_to(self.header + PAUSED_UNTIL, until_ns):
            return False
        for index in range(self.buckets):
            at = self.bucket(index)
            if read_terms(at, &terms):
                empty = until_ns + terms.tau_ns
                raise_to(at + MARK, empty)
                seen = load_acquire(at + TAT)
                while not compare_and_swap(at + TAT, &seen, max(seen + 1, empty)):
                    add_relaxed(self.header + COLLISIONS, 1)
        add_release(self.header + GENERATION, 1)
        return True

    def paused_until(self):
        return load_acquire(self.header + PAUSED_UNTIL)

    def level(self, int bucket, int64_t now_ns):
        cdef Terms terms
        check_time(now_ns)
        self.terms_of(bucket, &terms)
        cdef int64_t ahead = load_acquire(self.bucket(bucket) + TAT) - now_ns
        return (terms.tau_ns - max(0, ahead)) * <double>terms.units / terms.span_ns

    def rate(self, int bucket):
        cdef Terms terms
        self.terms_of(bucket, &terms)
        return terms.units * 1e9 / terms.span_ns

    def collisions(self):
        return load_relaxed(self.header + COLLISIONS)

    def record_failure(self):
        return add_relaxed(self.header + FAILURES, 1) + 1

    def record_success(self):
        # Loaded first: a store by every success would bounce the line between all workers.
        if load_relaxed(self.header + FAILURES):
            store_relaxed(self.header + FAILURES, 0)
        if load_relaxed(self.header + THROTTLES):
            store_relaxed(self.header + THROTTLES, 0)

    def failures_in_a_row(self):
        return load_relaxed(self.header + FAILURES)

    def record_throttle(self):
        # An endpoint that throttles is not down.
        if load_relaxed(self.header + FAILURES):
            store_relaxed(self.header + FAILURES, 0)
        return add_relaxed(self.header + THROTTLES, 1) + 1

    def claim_probe(self, int64_t now_ns, int64_t interval_ns):
        check_time(now_ns)
        check_time(interval_ns)
        cdef int64_t seen = load_acquire(self.header + PROBE_AT)
        if now_ns < seen:
            return False
        return compare_and_swap(self.header + PROBE_AT, &seen, now_ns + interval_ns)
