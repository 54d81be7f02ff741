# An answer's tokens in parts that have nothing in common: what the metrics count.

cdef inline int64_t known(count) except? -1:
    return 0 if count is None else count


def disjoint_tokens(input_tokens, cached_input_tokens, output_tokens, reasoning_tokens):
    # Servers say anything: a part may be larger than its whole, or less than nothing.
    cdef int64_t cached = max(<int64_t>0, known(cached_input_tokens))
    cdef int64_t reasoning = max(<int64_t>0, known(reasoning_tokens))
    cdef int64_t uncached = max(<int64_t>0, known(input_tokens) - cached)
    cdef int64_t visible = max(<int64_t>0, known(output_tokens) - reasoning)
    return uncached, cached, visible, reasoning
