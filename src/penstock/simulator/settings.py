"""What the simulator is told: every option once, with its default; the command line is derived.

Rates are shares of requests, 0..1. A limit of 0 is no limit.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec

from penstock.errors import JobError
from penstock.job import option

Whole = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

# Drawn together, once per attempt, so at most one of them strikes: their sum can't pass 1.
FAULTS = (
    "throttle",
    "error_500",
    "html_500",
    "timeout",
    "disconnect",
    "truncated",
    "garbage",
    "empty",
    "error_in_200",
    "stray",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the simulated provider behaves.

    Raises JobError for a value out of bounds, and for fault rates that add up to more than 1.
    """

    # --- listening --------------------------------------------------------------------------------
    host: Annotated[str, option("Listening", "The address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, option("Listening", "The port; 0 takes a free one.")] = 0
    certfile: Annotated[
        str | None, option("Listening", "Speak TLS, with this certificate chain.", metavar="FILE")
    ] = None
    keyfile: Annotated[
        str | None, option("Listening", "The certificate's private key.", metavar="FILE")
    ] = None

    # --- limits -----------------------------------------------------------------------------------
    rps: Annotated[Whole, option("Limits", "Requests in any second.")] = 0
    rpm: Annotated[Whole, option("Limits", "Requests in any minute.")] = 0
    tpm: Annotated[Whole, option("Limits", "Tokens in any minute.")] = 0
    tpm_counts: Annotated[
        Literal["used", "asked"],
        option("Limits", "What --tpm counts: tokens really used, or prompt + max_tokens."),
    ] = "used"
    concurrency: Annotated[Whole, option("Limits", "Requests in flight at once.")] = 0
    servers: Annotated[
        Whole, option("Limits", "Answers worked on at once; more wait in line, without a word.")
    ] = 0
    rate_headers: Annotated[
        Literal["dialect", "azure", "together", "none"],
        option(
            "Limits",
            "Which headers name the limits: the dialect's own, Azure's that say nothing (0, -1), "
            "Together's, or none.",
        ),
    ] = "dialect"
    count_refused: Annotated[
        bool, option("Limits", "Let refused requests use up the limit too, as OpenAI does.")
    ] = False

    # --- answers ----------------------------------------------------------------------------------
    seed: Annotated[Seed, option("Answers", "Makes all that is drawn repeatable.")] = 0
    ttft_seconds: Annotated[
        Amount, option("Answers", "Mean time to the first token (lognormal).")
    ] = 0.0
    ttft_spread: Annotated[
        Amount, option("Answers", "Spread of that time: the sigma of its logarithm.")
    ] = 0.5
    seconds_per_token: Annotated[Amount, option("Answers", "Time for each output token.")] = 0.0
    output_tokens: Annotated[Amount, option("Answers", "Mean output tokens (lognormal).")] = 32.0
    output_tokens_spread: Annotated[
        Amount, option("Answers", "Spread of output tokens: the sigma of their logarithm.")
    ] = 0.5
    invalid_output: Annotated[
        Rate, option("Answers", "Share of answers to a JSON schema that don't match it.")
    ] = 0.0
    cached_share: Annotated[
        Rate, option("Answers", "Share of prompt tokens reported as cached.")
    ] = 0.0
    reasoning_share: Annotated[
        Rate, option("Answers", "Share of output tokens reported as reasoning.")
    ] = 0.0
    embedding_dimensions: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=4096)],
        option("Answers", "Length of embeddings, where the request does not say."),
    ] = 64
    models: Annotated[
        tuple[str, ...],
        option("Answers", "The models there are; none given: all but `does-not-exist`."),
    ] = ()
    context_tokens: Annotated[
        Whole, option("Answers", "A longer prompt is refused; 0 takes any.")
    ] = 128_000

    # --- faults -----------------------------------------------------------------------------------
    throttle: Annotated[Rate, option("Faults", "429 though no limit was passed.")] = 0.0
    retry_after_seconds: Annotated[
        Amount, option("Faults", "The wait sent with such a 429; 0 sends none.")
    ] = 1.0
    error_500: Annotated[Rate, option("Faults", "500 with the provider's error body.")] = 0.0
    html_500: Annotated[Rate, option("Faults", "502 or 503 with a proxy's HTML page.")] = 0.0
    timeout: Annotated[Rate, option("Faults", "Never answered.")] = 0.0
    disconnect: Annotated[
        Rate, option("Faults", "Connection closed or reset, before a byte or amid the body.")
    ] = 0.0
    truncated: Annotated[Rate, option("Faults", "200 with a body that is cut.")] = 0.0
    garbage: Annotated[Rate, option("Faults", "200 with a body that is not JSON.")] = 0.0
    empty: Annotated[Rate, option("Faults", "200 with no body.")] = 0.0
    error_in_200: Annotated[Rate, option("Faults", "200 with an error object.")] = 0.0
    stray: Annotated[
        Rate, option("Faults", "A good answer, and right behind it one that nobody asked for.")
    ] = 0.0
    reject: Annotated[
        Rate, option("Faults", "Share of records that are always refused with a 400.")
    ] = 0.0

    # --- the key ----------------------------------------------------------------------------------
    key: Annotated[str | None, option("Key", "The only key that is accepted; else any is.")] = None
    key_dies_after: Annotated[
        Whole, option("Key", "Requests after which the first key used is refused for ever.")
    ] = 0
    quota_after: Annotated[
        Whole, option("Key", "Requests after which the account's money is gone.")
    ] = 0

    def __post_init__(self) -> None:
        for name, low, high in bounds():
            value = getattr(self, name)
            if not low <= value <= high:
                raise JobError(
                    f"simulator: {name.replace('_', '-')} = {value!r} is out of bounds",
                    f"Give a value from {low:g}"
                    + ("." if high == float("inf") else f" to {high:g}."),
                )
        total = sum(getattr(self, name) for name in FAULTS)
        if total > 1 + 1e-9:
            raise JobError(
                f"simulator: the fault rates add up to {total:g}, more than 1",
                f"Lower some of: {', '.join(FAULTS)}.",
            )
        if (self.certfile is None) != (self.keyfile is None):
            raise JobError("simulator: TLS needs certfile and keyfile", "Give both, or neither.")

    def __repr__(self) -> str:
        """Without the key: settings end up in logs and in test output."""
        shown = {
            name: "***" if name == "key" and value is not None else value
            for name, value in msgspec.structs.asdict(self).items()
        }
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@cache
def bounds() -> tuple[tuple[str, float, float], ...]:
    """(field, lowest, highest) for each number among the settings, from its annotation."""
    found = []
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        metas = [one for one in get_args(hint) if isinstance(one, msgspec.Meta)]
        lows = [float(one.ge) for one in metas if one.ge is not None]
        highs = [float(one.le) for one in metas if one.le is not None]
        if lows:
            found.append((name, max(lows), min(highs, default=float("inf"))))
    return tuple(found)


# An ordinary day, on which a provider throttles and fails now and then.
TYPICAL = Settings(
    ttft_seconds=0.15,
    seconds_per_token=0.005,
    throttle=0.01,
    html_500=0.01,
    truncated=0.005,
    disconnect=0.005,
    reject=0.003,
    retry_after_seconds=0.5,
)
