"""What limits a run now, as a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.observe.bottleneck import main_reason
from penstock.observe.snapshot import LimitUse, Phase
from penstock.observe.state import Endpoint, Limit
from penstock.observe.words import count, duration

_SENTENCES = {
    "throttled": "throttled by the provider, or waiting to ask it again",
    "input": "waiting for input: reading is slower than the provider",
    "cpu": "limited by CPU: the workers are at full load",
    "disk": "waiting for the disk: results are not written yet",
    "budget": "limited by --budget-usd: what is left is put aside for requests in flight",
}

_HELD = {
    "growing": "it is still growing",
    "ceiling": "the most there is",
    "throttled": "the provider throttles more",
    "slower": "more only makes answers slower",
    "errors": "it does not grow while requests fail",
}

_PHASES: dict[Phase, str] = {
    "starting": "starting",
    "draining": "finishing what is in flight",
    "exporting": "writing the output",
    "done": "",
}

_WINDOWS = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "day"}


def limiting(
    phase: Phase,
    shares: Mapping[str, float],
    limits: Mapping[str, LimitUse],
    endpoints: Mapping[str, Endpoint],
    in_flight: int,
    now_ns: int,
) -> str:
    """What limits now; empty when nothing is to be said."""
    if phase in _PHASES:
        return _PHASES[phase]
    reason = reason_sentence(main_reason(shares), limits, in_flight)
    absent = {name: words for name, one in endpoints.items() if (words := absence(one, now_ns))}
    if len(endpoints) == 1:
        return next(iter(absent.values()), "") or reason
    told = [f"{name}: {words}" for name, words in absent.items()]
    return "; ".join(told if len(told) == len(endpoints) or not reason else [reason, *told])


def absence(endpoint: Endpoint, now_ns: int) -> str:
    """Why an endpoint is not asked now; empty where it is."""
    if endpoint.out:
        return f"it {endpoint.cause}"
    if not endpoint.up:
        seconds = max(0, now_ns - endpoint.down_since_ns) / 1e9
        cause = f": {endpoint.cause}" if endpoint.cause else ""
        return f"endpoint down for {duration(seconds)}{cause}; probing"
    pause_ns = endpoint.paused_until_ns - now_ns
    return f"throttled by the provider: pausing {duration(pause_ns / 1e9)}" if pause_ns > 0 else ""


def reason_sentence(reason: str | None, limits: Mapping[str, LimitUse], in_flight: int) -> str:
    """A reason with the limit that it is about."""
    if reason is None:
        return "waiting for the provider" if in_flight else ""
    if reason in ("requests", "tokens"):
        tightest = tightest_limit(reason, limits)
        if tightest is None:  # several endpoints, of which not all have such a limit
            return f"limited by the {reason} that an endpoint takes"
        return f"limited to {limit_words(tightest, limits[tightest])}"
    if reason == "concurrency":
        slots = limits.get("concurrency")
        return "waiting for the provider" + (f" ({limit_words(reason, slots)})" if slots else "")
    return _SENTENCES[reason]


def tightest_limit(counted: str, limits: Mapping[str, LimitUse]) -> str | None:
    """The resource, of those that count `counted`, of which the largest share is used."""
    resources = [one for one in limits if counted in one.partition("_per_")[0].split("_")]
    return max(resources, key=lambda one: limits[one].share, default=None)


def limit_words(resource: str, use: LimitUse) -> str:
    """A limit as `600 requests/min`, or `concurrency 64`."""
    name = resource.partition("_per_")[0].replace("_", " ")
    note = f", {use.note}" if use.note else ""
    if not use.window_seconds:
        return f"{name} {count(use.limit)}{note}"
    window = _WINDOWS.get(use.window_seconds, f"{use.window_seconds:g} s")
    return f"{count(use.limit)} {name}/{window}{note}"


def limit_note(limit: Limit) -> str:
    """How a limit was come by, and what holds it there; empty for one that was given."""
    if limit.how == "named":
        return "as the provider's headers say"
    if limit.how != "found":
        return ""
    return f"found: {_HELD[limit.why]}" if limit.why in _HELD else "found"
