"""What a request will cost in tokens, learned online from what earlier ones did.

Input: tokens per byte of the body, a running mean. Output: a high quantile of the last answers, for
a charge that is too low lets a burst through while one that is too high is refunded when it
settles; `max_tokens` bounds it, but is not taken for it.
"""

from __future__ import annotations

from collections import deque

FIRST_TOKENS_PER_BYTE = 0.25
FIRST_OUTPUT_TOKENS = 256
WINDOW = 128  # answers
QUANTILE = 0.8
EVERY = 64  # answers between two looks at the window, at most: it has to be sorted for it
SMOOTHING = 0.05


class TokenPredictor:
    """Learns from settled answers of one model; one for each worker."""

    def __init__(self, first_output: int = FIRST_OUTPUT_TOKENS) -> None:
        self._per_byte = FIRST_TOKENS_PER_BYTE
        self._output = first_output
        self._recent: deque[int] = deque(maxlen=WINDOW)
        self._seen = 0
        self._look_at = 1  # so many answers; then at twice as many, and so on

    def predict(self, body_bytes: int, most_output: int) -> tuple[int, int]:
        """Input and output tokens; `most_output` is what the request allows (0: it doesn't say)."""
        output = min(self._output, most_output) if most_output else self._output
        return int(body_bytes * self._per_byte + 0.5) or 1, output

    def learn(self, body_bytes: int, input_tokens: int, output_tokens: int) -> None:
        """Take in what an answer's usage says."""
        if body_bytes > 0:
            self._per_byte += SMOOTHING * (input_tokens / body_bytes - self._per_byte)
        self._recent.append(output_tokens)
        self._seen += 1
        if self._seen >= self._look_at:
            self._look_at = self._seen + min(self._seen, EVERY)
            ordered = sorted(self._recent)
            self._output = ordered[min(len(ordered) - 1, int(len(ordered) * QUANTILE))]
