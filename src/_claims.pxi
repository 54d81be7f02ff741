# Claims: a set of 64-bit keys in shared memory, to which any process adds without a lock.
#
# It answers one question: is this key new? Who adds a key first is told so, and nobody else is. A
# key is put into one word by one compare-and-swap, so a process that is killed leaves its key there
# or not, and nothing half done.
#
# Nobody knows beforehand how many keys will come, so there are levels, each twice as large as the
# one before. A key belongs to one bucket of each level; it stands in the first level whose bucket
# had room for it. Nothing is ever taken out, so who looks for it passes the same full buckets, and
# stops at it or at an empty word. Memory that was never written to takes none, and a level is hardly
# written to before the one above is full.

cdef enum:
    CLAIM_BUCKET = 16  # words: two cache lines
    CLAIM_FIRST_BITS = 16  # of the first level: 65,536 keys
    CLAIM_LEVELS = 11  # of the last: 67 million

cdef int64_t CLAIM_WORDS = (<int64_t>1 << (CLAIM_FIRST_BITS + CLAIM_LEVELS)) - (1 << CLAIM_FIRST_BITS)


@cython.final
cdef class Claims:
    cdef Memory memory

    @staticmethod
    def bytes_needed():
        return CLAIM_WORDS * WORD

    def __cinit__(self, memory, Py_ssize_t offset):
        self.memory = Memory(memory, offset, CLAIM_WORDS * WORD)

    def claim(self, uint64_t key):
        """Add a key; True if it was not there. True too where there is no room left for it."""
        cdef word *level = self.memory.words
        cdef word *bucket
        cdef int64_t wanted = <int64_t>(key if key else 1), seen
        cdef uint64_t mixed = <uint64_t>wanted
        cdef int bits, place
        for bits in range(CLAIM_FIRST_BITS, CLAIM_FIRST_BITS + CLAIM_LEVELS):
            # Another bucket in each level, else those of a full one would meet again.
            mixed = mixed * <uint64_t>0x9E3779B97F4A7C15 + 1
            bucket = level + (mixed >> (64 - bits) & ~<uint64_t>(CLAIM_BUCKET - 1))
            for place in range(CLAIM_BUCKET):
                seen = load_acquire(bucket + place)
                if not seen and compare_and_swap(bucket + place, &seen, wanted):
                    return True
                if seen == wanted:
                    return False
            level += <int64_t>1 << bits
        return True
