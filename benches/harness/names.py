"""The clients' names, as people read them."""

from __future__ import annotations

NAMES = {
    "penstock": "Penstock, the whole engine",
    "go": "Go net/http, bare loop",
    "aiohttp": "aiohttp ClientSession, bare loop",
    "wrk": "wrk (C), nothing parsed",
    "lm-deluge": "lm-deluge",
    "ray-data": "Ray Data's HTTP stage",
    "openai": "openai SDK",
    "litellm": "LiteLLM",
}


def name_of(client: str) -> str:
    return NAMES.get(client, client)
