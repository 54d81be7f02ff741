"""The account behind a key: whether it may ask at all. It can die in the middle of a run."""

from __future__ import annotations

from penstock.simulator import refusals
from penstock.simulator.refusals import Refusal
from penstock.simulator.settings import Settings


class Account:
    """Counts requests towards the end of the key and of the money."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.key
        self._key_dies_after = settings.key_dies_after
        self._quota_after = settings.quota_after
        self._paid_requests = 0
        self._first_key: str | None = None
        self._first_key_requests = 0

    def refuse(self, key: str, *, paid: bool) -> Refusal | None:
        """Why a request with this key is refused, if it is; only `paid` ones are counted."""
        if self._key is not None and key != self._key:
            return refusals.wrong_key(key) if key else refusals.missing_key()
        if self._key_dies_after and self._is_dead(key, paid):
            return refusals.wrong_key(key)
        self._paid_requests += paid
        if self._quota_after and self._paid_requests > self._quota_after:
            return refusals.quota_gone()
        return None

    def _is_dead(self, key: str, paid: bool) -> bool:
        """Only the first key dies: a user who puts another in its place can go on."""
        if self._first_key is None:
            self._first_key = key
        if key != self._first_key:
            return False
        self._first_key_requests += paid
        return self._first_key_requests > self._key_dies_after
