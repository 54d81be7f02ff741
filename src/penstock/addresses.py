"""Where providers are: which dialect a host speaks, and which variable holds the key for it.

A key is sent to the hosts that stand beside its variable and to no other, unless it is named. What
a base URL or a model's name tells of the dialect counts only where it is certain: all else is taken
for a server compatible with OpenAI's API, of which there are most.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError
from penstock.job import OPENAI_BASE_URL, Job

OPENAI: Final = "openai"
RESPONSES: Final = "openai-responses"
AZURE: Final = "azure"
ANTHROPIC: Final = "anthropic"
GEMINI: Final = "gemini"

HTTP: Final = "http"

SIMULATOR: Final = "http://simulator"  # whose URL is not known before it runs


class Place(NamedTuple):
    """A provider's host, or with a leading dot every host below it."""

    host: str
    dialect: str
    variables: tuple[str, ...]  # that may hold the key: the first one that is set


AZURE_KEY: Final = ("AZURE_OPENAI_API_KEY",)

PLACES: Final = (
    Place("api.openai.com", OPENAI, ("OPENAI_API_KEY",)),
    Place(".api.openai.com", OPENAI, ("OPENAI_API_KEY",)),  # its regions
    Place(".openai.azure.com", AZURE, AZURE_KEY),
    Place(".cognitiveservices.azure.com", AZURE, AZURE_KEY),
    Place(".services.ai.azure.com", AZURE, AZURE_KEY),
    Place("api.anthropic.com", ANTHROPIC, ("ANTHROPIC_API_KEY",)),
    Place("generativelanguage.googleapis.com", GEMINI, ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    Place("api.groq.com", OPENAI, ("GROQ_API_KEY",)),
    Place("api.together.xyz", OPENAI, ("TOGETHER_API_KEY",)),
    Place("api.together.ai", OPENAI, ("TOGETHER_API_KEY",)),
    Place("api.deepseek.com", OPENAI, ("DEEPSEEK_API_KEY",)),
    Place("api.mistral.ai", OPENAI, ("MISTRAL_API_KEY",)),
    Place("openrouter.ai", OPENAI, ("OPENROUTER_API_KEY",)),
    Place("api.fireworks.ai", OPENAI, ("FIREWORKS_API_KEY",)),
    Place("api.cerebras.ai", OPENAI, ("CEREBRAS_API_KEY",)),
    Place("api.x.ai", OPENAI, ("XAI_API_KEY",)),
)

# Where a dialect is asked unless --base-url says otherwise; the others have no place of their own.
BASE_URLS: Final = {
    OPENAI: OPENAI_BASE_URL,
    RESPONSES: OPENAI_BASE_URL,
    ANTHROPIC: "https://api.anthropic.com/v1",
    GEMINI: "https://generativelanguage.googleapis.com/v1beta",
}

# How the names of models begin that their makers' own API has.
MODELS: Final = (("claude-", ANTHROPIC), ("gemini-", GEMINI))

# How another dialect that a host offers beside its own shows in the path.
OFFERED: Final = {"anthropic": ANTHROPIC, "openai": OPENAI}

SIMULATED_PATHS: Final = {HTTP: "/v1/chat/completions"}

NEEDED: Final = {
    AZURE: "Give that of your resource: --base-url https://NAME.openai.azure.com",
    HTTP: "Give the whole URL that requests are sent to.",
}


def place_of(base_url: str) -> Place | None:
    """The provider at a URL; None where it is nobody that is known."""
    host = urlsplit(base_url).hostname or ""
    for place in PLACES:
        if host == place.host or (place.host[0] == "." and host.endswith(place.host)):
            return place
    return None


def settled(job: Job, *, told_provider: bool, told_url: bool) -> Job:
    """`job` with the dialect and the base URL that it was not told. Raises JobError."""
    provider: str = job.provider
    if not told_provider:
        provider = by_url(job.base_url) if told_url else by_model(job.model)
    if told_url:
        return job if provider == job.provider else with_provider(job, provider)
    base_url = BASE_URLS.get(provider)
    if base_url is None and not job.simulate:
        raise JobError(f"--provider {provider} is given without --base-url", NEEDED[provider])
    job = with_provider(job, provider)
    return msgspec.structs.replace(job, base_url=base_url or SIMULATOR)


def with_provider(job: Job, provider: str) -> Job:
    return msgspec.structs.replace(job, provider=provider)


def by_url(base_url: str) -> str:
    """The dialect at a URL that was given."""
    place = place_of(base_url)
    if place is None:
        return OPENAI
    segments = urlsplit(base_url).path.split("/")
    offered = next((OFFERED[one] for one in segments if one in OFFERED), place.dialect)
    # Azure's own path begins with /openai.
    return place.dialect if place.dialect == AZURE and offered == OPENAI else offered


def by_model(model: str | None) -> str:
    """The dialect for a model that is asked for by its name alone."""
    name = model or ""
    return next((dialect for start, dialect in MODELS if name.startswith(start)), OPENAI)


def told(job: Job) -> str | None:
    """Words about the dialect, where it is not the usual one and the job need not have named it."""
    if job.provider == OPENAI or job.provider != by_url(job.base_url):
        return None
    where = "a simulator" if job.simulate else urlsplit(job.base_url).netloc
    return f"The provider is {job.provider}, at {where}; --provider names another."


def simulated_url(job: Job, origin: str) -> str:
    """Where on a simulator a job is to ask; `origin` is the simulator's scheme, host and port."""
    path = urlsplit(BASE_URLS.get(job.provider, "")).path
    if not path and job.base_url != SIMULATOR:
        parts = urlsplit(job.base_url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
    elif not path:
        path = SIMULATED_PATHS.get(job.provider, "")
    return origin + path


def likely_url(job: Job) -> str | None:
    """Where the API may be at a server that has none at its root; None where a path was given.

    The other dialects bring their own path.
    """
    parts = urlsplit(job.base_url)
    if job.provider not in (OPENAI, RESPONSES) or parts.path.strip("/"):
        return None
    return f"{parts.scheme}://{parts.netloc}/v1"


def url_of(base_url: str, path: str) -> str:
    """The URL of a request; a base URL's query is that of all its requests."""
    if not path:
        return base_url
    start, mark, query = base_url.partition("?")
    return f"{start.rstrip('/')}{path}{mark}{query}"
