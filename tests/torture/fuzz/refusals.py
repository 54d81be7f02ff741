"""Responses that are no success: a status, headers, a body, each with a verdict.

Two bytes are the status; what follows up to an empty line are headers; the rest is the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from penstock._core import Classifier
from penstock.providers.openai_verdicts import RULES
from penstock.providers.refusals import read_refusal
from torture.fuzz.answers import check_refusal

CLASSIFIER: Final = Classifier(RULES)
KINDS: Final = frozenset({"succeeded", "retry", "throttled", "rejected", "fatal"})

BODIES: Final = (
    {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}},
    {"error": {"message": "Please try again in 6m0s.", "code": 429, "status": "X"}},
    [{"error": {"code": 429, "details": [{"retryDelay": "36s"}], "message": "quota"}}],
    {"error": "model not found"},
    {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400},
)


def seeds() -> Sequence[bytes]:
    head = (429).to_bytes(2, "big") + b"retry-after: 20\ndate: x\n\n"
    page = b"<html><title>502 Bad\nGateway</title></html>"
    return [*(head + json.dumps(body).encode() for body in BODIES), head + page, head]


def once(data: bytes, folder: Path) -> None:
    status = int.from_bytes(data[:2], "big") % 1000
    head, _, body = data[2:].partition(b"\n\n")
    refusal = read_refusal(status, headers_of(head), body)
    check_refusal(refusal)
    verdict = CLASSIFIER.classify(status, refusal.code, refusal.type)
    assert verdict.kind in KINDS
    if not 200 <= status < 300:
        assert verdict.kind != "succeeded"
        assert verdict.error_class


def headers_of(head: bytes) -> Mapping[str, str]:
    """Lines as headers, as a transport hands them on."""
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\n"))
    return {name.lower(): value.strip() for name, _, value in pairs}
