"""Attempts for several records: what comes back is read as so many vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._core import TokenPredictor
from penstock.engine.asker import Asker
from penstock.providers.embedder import EmbeddingProvider, GroupRequest
from penstock.providers.provider import Answer, Refusal
from penstock.providers.provider import Request as Ask


class GroupedAsker(Asker):
    """Sends the requests of a worker that asks for vectors."""

    def __init__(self, provider: EmbeddingProvider, *others: Any) -> None:
        super().__init__(provider, *others)
        self._embedder = provider
        # A vector is no output that is counted in tokens.
        self.traffic.predictor = TokenPredictor(0)

    def _read(
        self, ask: Ask, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answer | Refusal:
        """See Asker."""
        if not 200 <= status < 300 or not isinstance(ask, GroupRequest):
            return super()._read(ask, status, headers, body)
        return self._embedder.embeddings(body, ask.rows)
