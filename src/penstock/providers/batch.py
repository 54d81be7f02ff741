"""OpenAI batch lines: requests that are written out already, and where each of them goes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from penstock.errors import JobError
from penstock.job import Job

BATCH_DIALECTS: Final = ("openai", "azure")


def check_batch(job: Job) -> None:
    """Raises JobError where an option would change requests that are written out already."""
    if not job.provider.startswith(BATCH_DIALECTS):
        raise JobError(
            f"--provider {job.provider} is given, but the input's lines are OpenAI batch lines",
            "Name a server that speaks OpenAI's API, or give records and a --prompt.",
        )
    if job.embeds:
        raise JobError(
            "--task embed is given, but the input's lines are OpenAI batch lines",
            "They say themselves what they ask for: leave it out.",
        )
    names = ("prompt", "system", "messages", "image", "file", "model", "schema", "param")
    for name in names:
        if getattr(job, name):
            raise JobError(
                f"--{name} is given, but the input's lines are OpenAI batch lines",
                "Their bodies are sent as they are: leave the option out.",
            )


@lru_cache(maxsize=64)  # the lines of an input name four URLs at most
def path_below(base_path: str, url: str) -> str:
    """What of `url`, an absolute path, is to be appended to a base URL whose path is `base_path`.

    The end of the one that is the beginning of the other is there once: below `/openai/v1`,
    `/v1/embeddings` is `/embeddings`.
    """
    segments = base_path.strip("/").split("/") if base_path.strip("/") else []
    for first in range(len(segments)):
        overlap = "/" + "/".join(segments[first:])
        if url.startswith(overlap + "/"):
            return url.removeprefix(overlap)
    return url
