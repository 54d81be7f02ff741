"""Attempts for several records: what comes back is read as so many vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._core import TokenPredictor
from penstock.engine.asker import OK, Asker
from penstock.providers.embedder import EmbeddingProvider, Embeddings, GroupRequest
from penstock.providers.provider import Answer, BadResponse, Refusal
from penstock.providers.provider import Request as Ask
from penstock.providers.verdicts import BAD_RESPONSE, ERROR_IN_200


class GroupedAsker(Asker):
    """Sends the requests of a worker that asks for vectors."""

    def __init__(self, provider: EmbeddingProvider, *others: Any) -> None:
        super().__init__(provider, *others)
        self._embedder = provider
        # A vector is no output that is counted in tokens.
        self.traffic.predictor = TokenPredictor(0)

    def _read(
        self, ask: Ask, status: int, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Answer | Refusal]:
        """See Asker."""
        if not 200 <= status < 300 or not isinstance(ask, GroupRequest):
            return super()._read(ask, status, headers, body)
        try:
            said = self._embedder.embeddings(body, ask.rows)
        except BadResponse as error:
            return BAD_RESPONSE, Refusal(message=str(error))
        return (OK if isinstance(said, Embeddings) else ERROR_IN_200), said
