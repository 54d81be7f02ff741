"""The job: what to do, as one immutable struct in which every option is declared once.

Flags, environment variables, `job.toml`, the Python API and the reference in `docs/cli.md` are all
derived from the fields of `Job`: a field's annotation carries its help, its group, what its value
looks like, and whether a change of it makes another job ("identity") or is free on resume.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError

OPENAI_BASE_URL = "https://api.openai.com/v1"
DEFAULT_CONCURRENCY = 64
AFFINITY_BYTES = 512  # of a request, which begins with the model's name
MOST_AFFINITY_BYTES = 1 << 20

OUTPUT_FORMATS = (".parquet", ".arrow", ".jsonl", ".csv")

# Azure's, which chooses among the forms of its API; no other query is part of a base URL.
API_VERSION = re.compile(r"api-version=[0-9A-Za-z._-]+")

MOST = 10**15  # above it counts per window would not fit into 64 bits
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
MOST_SLOTS = 65_536  # a slot is a task, and a connection while it waits for an answer
Slots = Annotated[int, msgspec.Meta(ge=1, le=MOST_SLOTS)]
KeepResponse = Literal["failed", "always", "never"]
Whole = Annotated[int, msgspec.Meta(ge=0, le=1000)]
MOST_DIMENSIONS = 65_536
Dimensions = Annotated[int, msgspec.Meta(ge=1, le=MOST_DIMENSIONS)]
MOST_ROWS_PER_REQUEST = 2048  # OpenAI's
RowsPerRequest = Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS_PER_REQUEST)]
EMBED = "embed"
ProviderName = Literal["openai", "openai-responses", "azure", "anthropic", "gemini", "http"]
Positive = Annotated[float, msgspec.Meta(gt=0)]
MOST_USD = 1_000_000.0  # for a million tokens, or for a run: picodollars must fit into 64 bits
Rate = Annotated[float, msgspec.Meta(ge=0, le=MOST_USD)]
PRICED = ("input", "cached", "cache_write", "output", "reasoning", "request")
KINDS = ", ".join(PRICED)


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a conversation that the job itself holds; its content is a template."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | None = None
    content_file: str | None = None  # read where the job is, and None from then on


def option(
    group: str,
    help: str,
    *,
    metavar: str | None = None,
    identity: bool = False,
) -> msgspec.Meta:
    """How a field of `Job` is shown, and whether a change of it makes another job."""
    extra = {"group": group, "metavar": metavar, "identity": identity}
    return msgspec.Meta(description=help, extra=extra)


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do: inputs, prompt, provider, limits, output."""

    # --- input and output -------------------------------------------------------------------------
    inputs: Annotated[
        tuple[str, ...],
        option("Input and output", "Files, globs or directories to read; `-` is standard input."),
    ] = ()
    output: Annotated[
        str,
        option(
            "Input and output",
            "Where results go, by suffix: .parquet, .arrow, .jsonl or .csv.",
            metavar="PATH",
            identity=True,
        ),
    ] = ""
    id: Annotated[
        str | None,
        option(
            "Input and output",
            "The column that names a record; else `id` or `custom_id` where the input has one.",
            metavar="COLUMN",
            identity=True,
        ),
    ] = None
    keep: Annotated[
        str,
        option(
            "Input and output",
            "Which input columns stand beside the results: all, none, or names with commas.",
            metavar="COLS|all|none",
            identity=True,
        ),
    ] = "all"
    prefix: Annotated[
        str,
        option(
            "Input and output",
            "Put before the names of result columns, where they collide with the input's.",
            metavar="P",
            identity=True,
        ),
    ] = ""
    flatten: Annotated[
        bool,
        option(
            "Input and output",
            "With --schema: a column for each property of the answer, instead of one, `parsed`.",
            identity=True,
        ),
    ] = False
    response: Annotated[
        KeepResponse,
        option(
            "Input and output",
            "When the raw response body is kept: failed, always or never.",
            metavar="WHEN",
            identity=True,
        ),
    ] = "failed"
    limit: Annotated[
        Count | None,
        option("Input and output", "Take only the first N records.", metavar="N"),
    ] = None
    overwrite: Annotated[
        bool, option("Input and output", "Replace an output that this run did not make.")
    ] = False

    # --- the request ------------------------------------------------------------------------------
    task: Annotated[
        Literal["chat", "embed"],
        option(
            "Request",
            "What is asked for: chat answers a prompt; embed makes a vector of it, in the output's "
            "column `embedding`.",
            metavar="chat|embed",
            identity=True,
        ),
    ] = "chat"
    dimensions: Annotated[
        Dimensions | None,
        option(
            "Request",
            "With --task embed: how many numbers a vector is to have (as many as the model makes).",
            metavar="N",
            identity=True,
        ),
    ] = None
    rows_per_request: Annotated[
        RowsPerRequest | None,
        option(
            "Request",
            "With --task embed: the most records that one request asks for (256; with gemini 100).",
            metavar="N",
        ),
    ] = None
    provider: Annotated[
        ProviderName,
        option(
            "Request",
            "The API's dialect; `openai` is every compatible server. Told by --base-url or --model "
            "where those are certain.",
            metavar="NAME",
            identity=True,
        ),
    ] = "openai"
    base_url: Annotated[
        str,
        option("Request", "Where the API is; for most providers known.", metavar="URL"),
    ] = OPENAI_BASE_URL
    model: Annotated[
        str | None, option("Request", "The model to ask.", metavar="NAME", identity=True)
    ] = None
    prompt: Annotated[
        str | None,
        option(
            "Request",
            "The user message: a Jinja2 template over the record's columns.",
            metavar="TEXT",
            identity=True,
        ),
    ] = None
    prompt_file: Annotated[
        str | None, option("Request", "Read --prompt from a file.", metavar="FILE")
    ] = None
    system: Annotated[
        str | None,
        option("Request", "The system message: a template too.", metavar="TEXT", identity=True),
    ] = None
    messages: Annotated[
        tuple[Message, ...] | str | None,
        option(
            "Request",
            "A column that holds the whole list of messages, sent as it is; or a JSON list of "
            "messages, in a job file [[messages]], of a role and a content or content_file.",
            metavar="COLUMN|JSON",
            identity=True,
        ),
    ] = None
    image: Annotated[
        str | None,
        option(
            "Request",
            "Columns of images that go with the prompt, with commas: an http(s) URL, which is "
            "passed on, a data: URL, a path, bytes, or a list of these.",
            metavar="COLUMNS",
            identity=True,
        ),
    ] = None
    file: Annotated[
        str | None,
        option(
            "Request",
            "Columns of other files that go with the prompt, such as PDFs; like --image.",
            metavar="COLUMNS",
            identity=True,
        ),
    ] = None
    media_dir: Annotated[
        str,
        option(
            "Request",
            "The folder of the paths in such columns; none may lead out of it.",
            metavar="DIR",
        ),
    ] = "."
    schema: Annotated[
        dict[str, Any] | str | None,
        option(
            "Request",
            "The JSON Schema that answers have to match: a file, or a type of msgspec's or "
            "pydantic's as module:Model. The provider is asked for it, and every answer checked.",
            metavar="FILE|MODULE:MODEL",
            identity=True,
        ),
    ] = None
    body: Annotated[
        str | None,
        option(
            "Request",
            "For --provider http: the whole request body, a template over the record's columns "
            "that makes JSON.",
            metavar="TEMPLATE",
            identity=True,
        ),
    ] = None
    pointer: Annotated[
        dict[str, str],
        option(
            "Request",
            "For --provider http: where in a response the output is, and finish_reason, "
            "input_tokens, output_tokens and the like: a JSON pointer each.",
            metavar="NAME=/POINTER",
            identity=True,
        ),
    ] = {}
    param: Annotated[
        dict[str, Any],
        option(
            "Request",
            "A field of the request body; VALUE is JSON where it parses; dotted keys nest.",
            metavar="KEY=VALUE",
            identity=True,
        ),
    ] = {}
    api_key_env: Annotated[
        str | None,
        option(
            "Request",
            "The environment variable with the key (OPENAI_API_KEY, ANTHROPIC_API_KEY and so on, "
            "each for its provider's own host only).",
            metavar="VAR",
        ),
    ] = None
    api_key_file: Annotated[
        str | None, option("Request", "A file that holds the key.", metavar="FILE")
    ] = None
    api_key_command: Annotated[
        str | None,
        option(
            "Request",
            "A command that prints the key; it is run again when the key is refused.",
            metavar="CMD",
        ),
    ] = None
    api_key_refresh: Annotated[
        Positive | None,
        option(
            "Request",
            "Run --api-key-command again every S seconds, before the key expires.",
            metavar="S",
        ),
    ] = None
    header: Annotated[
        dict[str, str],
        option(
            "Request",
            "One more request header; env:VAR takes the value from the environment.",
            metavar="K=V|K=env:VAR",
        ),
    ] = {}
    ca_file: Annotated[
        str | None,
        option(
            "Request", "Certificate authorities to trust instead of the system's.", metavar="FILE"
        ),
    ] = None
    proxy: Annotated[
        str | None, option("Request", "An HTTP proxy for all requests.", metavar="URL")
    ] = None
    endpoints: Annotated[
        tuple[dict[str, Any], ...],
        option(
            "Request",
            "Several endpoints: a JSON list of tables, each with options of its own, over those of "
            "the job; see docs/endpoints.md.",
            metavar="JSON",
        ),
    ] = ()
    affinity: Annotated[
        str,
        option(
            "Request",
            "With `prefix` requests that begin alike go to the same of several endpoints, for its "
            "prefix cache; `prefix:N` compares their first N bytes (512).",
            metavar="none|prefix|prefix:N",
        ),
    ] = "none"
    simulate: Annotated[
        bool,
        option(
            "Request",
            "Ask a simulated provider on this machine instead: no key, no cost. The same command "
            "without it moves what was simulated aside, and begins anew.",
            identity=True,
        ),
    ] = False

    # --- limits -----------------------------------------------------------------------------------
    rpm: Annotated[
        Count | None, option("Limits", "Requests per minute, over all workers.", metavar="N")
    ] = None
    rps: Annotated[
        Count | None, option("Limits", "Requests per second, over all workers.", metavar="N")
    ] = None
    rpd: Annotated[
        Count | None, option("Limits", "Requests per day, over all workers.", metavar="N")
    ] = None
    tpm: Annotated[
        Count | None,
        option("Limits", "Tokens per minute, input and output together.", metavar="N"),
    ] = None
    tpd: Annotated[
        Count | None,
        option("Limits", "Tokens per day, input and output together.", metavar="N"),
    ] = None
    input_tpm: Annotated[
        Count | None, option("Limits", "Input tokens per minute.", metavar="N")
    ] = None
    output_tpm: Annotated[
        Count | None, option("Limits", "Output tokens per minute.", metavar="N")
    ] = None
    max_concurrency: Annotated[
        Slots | None,
        option(
            "Limits",
            "The most requests in flight, over all workers (found, or what the given rate needs).",
            metavar="N",
        ),
    ] = None
    budget_usd: Annotated[
        Positive | None,
        option(
            "Limits",
            "Stop (exit 5) before more than X dollars are spent, over all resumes of the run.",
            metavar="X",
        ),
    ] = None
    price: Annotated[
        dict[str, Rate],
        option(
            "Limits",
            "Dollars per million tokens: input, output, cached, cache_write, reasoning; and per "
            "request. What is given goes over the price list.",
            metavar="KIND=USD,...",
        ),
    ] = {}
    limiter: Annotated[
        str | None,
        option(
            "Limits",
            "Share these limits with all runs on this machine that give the same name (or path).",
            metavar="NAME",
        ),
    ] = None
    workers: Annotated[
        Count | Literal["auto"],
        option(
            "Limits", "Worker processes; auto: as many as cores and rate ask for.", metavar="N|auto"
        ),
    ] = "auto"

    # --- failures ---------------------------------------------------------------------------------
    max_attempts: Annotated[
        Count, option("Failures", "Attempts before a record is a dead letter.", metavar="N")
    ] = 5
    max_output_retries: Annotated[
        Whole,
        option(
            "Failures",
            "How often an answer that does not match --schema is asked for again, with what is "
            "wrong with it.",
            metavar="N",
        ),
    ] = 2
    on_truncated: Annotated[
        Literal["keep", "fail"],
        option(
            "Failures",
            "Whether an answer that was cut for want of tokens is kept, or a dead letter "
            "`truncated`. It is not asked again; one that does not match --schema is never kept.",
            metavar="keep|fail",
            identity=True,
        ),
    ] = "keep"
    timeout: Annotated[
        Positive, option("Failures", "Seconds that one attempt may take.", metavar="S")
    ] = 300.0
    stop_failed: Annotated[
        str,
        option(
            "Failures",
            "Stop (exit 5) when more than this share of 100 or more records are dead letters.",
            metavar="PERCENT",
        ),
    ] = "50%"
    allow_failed: Annotated[
        str,
        option("Failures", "Exit 0 with up to this share of dead letters.", metavar="PERCENT"),
    ] = "0%"
    grace: Annotated[
        str,
        option(
            "Failures",
            "How long requests in flight may finish after Ctrl+C or SIGTERM.",
            metavar="DURATION",
        ),
    ] = "25s"

    # --- the run ----------------------------------------------------------------------------------
    run_dir: Annotated[
        str | None,
        option("Run", "Where the run lives on disk (OUTPUT.run beside the output).", metavar="DIR"),
    ] = None
    fresh: Annotated[
        bool, option("Run", "Begin anew; an earlier run directory is moved aside, never deleted.")
    ] = False
    yes: Annotated[bool, option("Run", "Answer yes to --fresh's question.")] = False
    dedupe: Annotated[
        bool, option("Run", "Ask rows whose requests are the same once, and give all its answer.")
    ] = False
    reuse: Annotated[
        tuple[str, ...],
        option(
            "Run",
            "Take answers to the same requests from an earlier run, or its .parquet or .arrow.",
            metavar="RUN_DIR|OUTPUT",
        ),
    ] = ()

    # --- seeing it --------------------------------------------------------------------------------
    progress: Annotated[
        Literal["auto", "bar", "lines", "json", "off"],
        option(
            "Seeing it",
            "How progress is shown, on standard error: auto, bar, lines, json or off.",
            metavar="KIND",
        ),
    ] = "auto"
    metrics_port: Annotated[
        str,
        option(
            "Seeing it", "The Prometheus port (9464, else a free one), or off.", metavar="P|off"
        ),
    ] = "auto"
    metrics_host: Annotated[
        str, option("Seeing it", "The address that the metrics listen on.", metavar="HOST")
    ] = "127.0.0.1"
    log_format: Annotated[
        Literal["text", "json"], option("Seeing it", "How warnings are written to standard error.")
    ] = "text"
    json: Annotated[
        bool, option("Seeing it", "Print the summary as one line of JSON on standard output.")
    ] = False

    @property
    def embeds(self) -> bool:
        """Whether vectors are asked for."""
        return self.task == EMBED

    @property
    def given_price(self) -> dict[str, float]:
        """--price; a vector has no output that could cost anything."""
        return {"output": 0.0, **self.price} if self.embeds and self.price else self.price

    @property
    def stop_failed_share(self) -> float:
        """--stop-failed as a share, 0..1."""
        return parse_percent(self.stop_failed, "stop_failed")

    @property
    def allow_failed_share(self) -> float:
        """--allow-failed as a share, 0..1."""
        return parse_percent(self.allow_failed, "allow_failed")

    @property
    def grace_seconds(self) -> float:
        """--grace in seconds."""
        return parse_duration(self.grace, "grace")

    @property
    def affinity_bytes(self) -> int:
        """--affinity as how many bytes of a request are compared; 0 for none."""
        return parse_affinity(self.affinity)


class Option(msgspec.Struct, frozen=True):
    """One field of `Job`, as the command line, the reference and the API see it."""

    name: str
    type: Any
    default: Any
    help: str
    group: str
    metavar: str | None
    identity: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "PENSTOCK_" + self.name.upper()


def options() -> Iterator[Option]:
    """Every option, in the order of declaration."""
    return iter(_declared())


@cache
def _declared() -> tuple[Option, ...]:
    return tuple(_read_fields())


def _read_fields() -> Iterator[Option]:
    hints = get_type_hints(Job, include_extras=True)
    for field in msgspec.structs.fields(Job):
        bare, *_, meta = get_args(hints[field.name])
        extra = meta.extra or {}
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
        yield Option(
            field.name,
            bare,
            default() if callable(default) else default,
            meta.description or "",
            extra["group"],
            extra["metavar"],
            extra["identity"],
        )


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with dotted keys nested: {"a.b": 1} is {"a": {"b": 1}}. Raises JobError."""
    tree: dict[str, Any] = {}
    for dotted, value in params.items():
        *parents, leaf = dotted.split(".")
        if not all((*parents, leaf)):
            raise JobError(f"--param {dotted}: a name between dots is empty")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise JobError(f"--param {dotted}: {parent} has a value already")
        if leaf in node:
            raise JobError(f"--param {dotted}: given twice")
        node[leaf] = value
    return tree


def column_names(text: str | None) -> tuple[str, ...]:
    """The columns that an option names, with commas between them."""
    return tuple(name for one in (text or "").split(",") if (name := one.strip()))


def parse_percent(text: str, name: str) -> float:
    """`5%` or `0.05` as a share, 0..1. Raises JobError."""
    body, sign, rest = text.strip().partition("%")
    try:
        share = float(body) / (100 if sign else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share <= 1:
        raise JobError(f"--{name.replace('_', '-')} {text!r}: expected a share such as 5%")
    return share


def parse_duration(text: str, name: str) -> float:
    """`25s`, `2m`, `1h` or `25` as seconds. Raises JobError."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    body = text.strip()
    unit = next((u for u in units if body.endswith(u)), "")
    try:
        seconds = float(body.removesuffix(unit)) * units.get(unit, 1.0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise JobError(f"--{name.replace('_', '-')} {text!r}: expected a duration such as 25s")
    return seconds


def parse_affinity(text: str) -> int:
    """`none`, `prefix` or `prefix:N` as a number of bytes. Raises JobError."""
    kind, _, count = text.partition(":")
    if text == "none":
        return 0
    if text == "prefix":
        return AFFINITY_BYTES
    if kind != "prefix" or not count.isdecimal() or not 1 <= int(count[:9]) <= MOST_AFFINITY_BYTES:
        raise JobError(
            f"--affinity {text!r}: expected none, prefix, or prefix:N with N of 1 to "
            f"{MOST_AFFINITY_BYTES:,} bytes"
        )
    return int(count)


def check(job: Job) -> None:
    """What types can't say. Raises JobError, so that nothing is sent for a job that can't work."""
    if job.prompt is not None and not job.prompt.strip():
        raise JobError("--prompt is empty", "Give the text that is to be asked.")
    check_messages(job)
    if job.output and Path(job.output).suffix not in OUTPUT_FORMATS:
        raise JobError(
            f"--output {job.output!r}: the format can't be told from its suffix",
            f"Allowed: {', '.join(OUTPUT_FORMATS)}.",
        )
    sources = ("api_key_env", "api_key_file", "api_key_command")
    given = ["--" + name.replace("_", "-") for name in sources if getattr(job, name)]
    if len(given) > 1:
        raise JobError(f"both {given[0]} and {given[1]} are given", "Keep one of them.")
    if job.api_key_refresh is not None and not job.api_key_command:
        raise JobError(
            "--api-key-refresh is given without --api-key-command",
            "Name the command that prints the key.",
        )
    check_task(job)
    check_structure(job)
    check_media(job)
    check_url("base_url", job.base_url, query=API_VERSION)
    if job.proxy is not None:
        check_url("proxy", job.proxy)
    if job.metrics_port not in ("auto", "off") and not is_port(job.metrics_port):
        raise JobError(f"--metrics-port {job.metrics_port!r}: expected 0 to 65535, or off")
    for dotted in job.param:
        if dotted in ("model", "messages", "stream"):
            raise JobError(
                f"--param {dotted} is not a parameter",
                f"It is set by Penstock; use --{dotted}."
                if dotted != "stream"
                else "Answers are read whole, so nothing is streamed.",
            )
    check_price(job)
    if job.limiter == "":
        raise JobError("--limiter is empty", "Name the limiter, or leave it out.")
    check_written(job)
    nested(job.param)
    parse_percent(job.stop_failed, "stop_failed")
    parse_percent(job.allow_failed, "allow_failed")
    parse_duration(job.grace, "grace")
    parse_affinity(job.affinity)
    if job.timeout == float("inf"):
        raise JobError("--timeout inf: expected a number of seconds", "Give a long one: 86400.")


def check_messages(job: Job) -> None:
    """Raises JobError where prompt, system and messages are not one conversation."""
    if isinstance(job.messages, str):
        if job.prompt is not None:
            raise JobError("both --prompt and --messages are given", "Keep one of them.")
        return
    if job.messages is None:
        return
    for place, message in enumerate(job.messages):
        if not (message.content or "").strip():
            raise JobError(
                f"messages[{place}] has no content", "Give it a content, or a content_file."
            )
        if message.role == "system" and (place or job.system is not None):
            raise JobError(
                f"messages[{place}] is a second system message, or comes after others",
                "Give one, as the first of the messages or by --system.",
            )
    ends_with_user = job.messages[-1].role == "user" if job.messages else False
    if job.prompt is not None and ends_with_user:
        raise JobError(
            "--prompt would follow a message of the user's",
            "It is the question after examples: end the messages with an assistant's, or leave "
            "--prompt out.",
        )
    if job.prompt is None and all(one.role != "user" for one in job.messages):
        raise JobError(
            "no message of --messages is the user's", 'Give one with role = "user", or a --prompt.'
        )


# What makes or asks for an answer in words, and what the provider's parameters for that are called.
FOR_CHAT = (
    *("system", "messages", "image", "file", "schema", "flatten", "body", "pointer"),
    *("affinity", "on_truncated", "max_output_retries"),
)
CHAT_PARAMS = ("tools", "tool_choice", "response_format", "max_tokens", "max_completion_tokens")


def check_task(job: Job) -> None:
    """Raises JobError for an option that says nothing to the job's task."""
    if not job.embeds:
        for name in ("dimensions", "rows_per_request"):
            if getattr(job, name) is not None:
                flag = "--" + name.replace("_", "-")
                raise JobError(
                    f"{flag} is given without --task embed", "Leave it out, or give both."
                )
        return
    usual = Job()
    for name in FOR_CHAT:
        if getattr(job, name) != getattr(usual, name):
            raise JobError(
                f"--{name.replace('_', '-')} is given, which is not for --task embed",
                "A vector is made of the text that --prompt makes: leave it out.",
            )
    for name in job.param:
        if name.split(".")[0] in CHAT_PARAMS:
            raise JobError(
                f"--param {name} is given, which is not for --task embed", "Leave it out."
            )
    if job.response == "always":
        raise JobError(
            "--response always is given, which is not for --task embed",
            "A response holds the vectors of many records, and they are in the output.",
        )


def check_media(job: Job) -> None:
    """Raises JobError for --image and --file that name nothing, and a folder that is none."""
    for name in ("image", "file"):
        given = getattr(job, name)
        if given is not None and not column_names(given):
            raise JobError(f"--{name} {given!r}: expected the names of columns")
    if (job.image or job.file) and not Path(job.media_dir).is_dir():
        raise JobError(
            f"--media-dir {job.media_dir}: there is no such folder", "Name the one with the files."
        )


def check_structure(job: Job) -> None:
    """Raises JobError for what contradicts --schema, or means nothing without one."""
    if job.schema is None:
        if job.flatten:
            raise JobError("--flatten is given without --schema", "Leave it out, or give both.")
    elif job.param.get("n") not in (None, 1):
        raise JobError("both --schema and --param n are given", "Ask for one answer of a record.")


def check_price(job: Job) -> None:
    """Raises JobError for a price of nothing that is known, or a budget that can't be counted."""
    for kind in job.price:
        if kind not in PRICED:
            raise JobError(f"--price {kind}: nothing has such a price", f"Allowed: {KINDS}.")
    if job.budget_usd is not None and job.budget_usd > MOST_USD:
        raise JobError(f"--budget-usd {job.budget_usd:g}: expected at most {MOST_USD:,.0f}")


def check_written(job: Job) -> None:
    """Raises JobError for a value that the manifest and a request body can't hold."""
    for one in options():
        value = getattr(job, one.name)
        try:
            msgspec.json.encode(value)
        except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise JobError(f"{one.flag}: can't be written as JSON: {error}") from None
        if one.name in ("param", "schema") and not is_in_64_bits(value):
            raise JobError(
                f"{one.flag}: a whole number of more than 64 bits", "Give a smaller one."
            )
        if one.name in ("param", "schema") and not is_finite(value):
            raise JobError(f"{one.flag}: JSON has no infinity and no NaN", "Give a number.")


def is_finite(value: Any) -> bool:
    """Whether every number in a tree of values is finite."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def is_in_64_bits(value: Any) -> bool:
    """Whether every whole number in a tree of values is; workers are sent no larger ones."""
    if isinstance(value, dict):
        return all(map(is_in_64_bits, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_in_64_bits, value))
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 64


def is_port(text: str) -> bool:
    return text.isdecimal() and len(text) <= 5 and int(text) < 65536


def check_url(name: str, url: str, query: re.Pattern[str] | None = None) -> None:
    """Raises JobError unless `url` is absolute, http(s), without credentials or fragment.

    Of queries, which may hold credentials too, it takes only what `query` does.
    """
    flag = "--" + name.replace("_", "-")
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_ok = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        raise JobError(f"{flag} {url!r}: expected an http:// or https:// URL")
    if parts.username or parts.password:
        raise JobError(f"{flag}: the URL carries credentials", "Pass the key by --api-key-env.")
    if parts.fragment or (parts.query and not (query and query.fullmatch(parts.query))):
        raise JobError(f"{flag} {url!r}: has a query or a fragment", "Give the URL up to its path.")


def identity(job: Job) -> dict[str, Any]:
    """What makes a job this job and no other; a change of it is refused on resume.

    The endpoint's host is free to change, its path is not.
    """
    kept = {one.name: getattr(job, one.name) for one in options() if one.identity}
    kept["output"] = Path(job.output).name  # its folder is where the run directory is, or told
    parts = urlsplit(job.base_url)
    kept["base_url_path"] = parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")
    return kept
