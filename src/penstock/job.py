"""The job: what to do, as one immutable struct in which every option is declared once.

Flags, environment variables, `job.toml`, the Python API and the reference in `docs/cli.md` are all
derived from the fields of `Job`: a field's annotation carries its help, its group, what its value
looks like, and whether a change of it makes another job ("identity") or is free on resume.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError

OPENAI_BASE_URL = "https://api.openai.com/v1"
DEFAULT_CONCURRENCY = 64

OUTPUT_FORMATS = (".parquet", ".arrow", ".jsonl", ".csv")

# Paths in a job file are relative to the file.
PATH_KEYS = frozenset({"output", "prompt_file", "api_key_file", "run_dir", "ca_file"})

# Text on a command line, but a number in TOML and in Python just as well: 0.05, 25, 9464.
QUANTITIES = frozenset({"stop_failed", "allow_failed", "grace", "metrics_port"})

# What an option's value has to be, in words; a whole number is a Count, a number is Positive.
EXPECTED: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number of at least 1",
    float: "a number above 0",
    str: "text",
    dict: "a table of KEY = VALUE",
    tuple: "a list of paths",
}

FLAG_WORDS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off", ""), False
)

MOST = 10**15  # above it counts per window would not fit into 64 bits
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
KeepResponse = Literal["failed", "always", "never"]
Positive = Annotated[float, msgspec.Meta(gt=0)]


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
    provider: Annotated[
        Literal["openai"],
        option(
            "Request",
            "The API's dialect; `openai` is every compatible server.",
            metavar="NAME",
            identity=True,
        ),
    ] = "openai"
    base_url: Annotated[
        str,
        option("Request", "Where the API is.", metavar="URL"),
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
        str | None,
        option(
            "Request",
            "A column that holds the whole list of messages, sent as it is.",
            metavar="COLUMN",
            identity=True,
        ),
    ] = None
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
            "The environment variable with the key (OPENAI_API_KEY, for OpenAI's host only).",
            metavar="VAR",
        ),
    ] = None
    api_key_file: Annotated[
        str | None, option("Request", "A file that holds the key.", metavar="FILE")
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
    simulate: Annotated[
        bool,
        option("Request", "Ask a simulated provider on this machine instead: no key, no cost."),
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
    input_tpm: Annotated[
        Count | None, option("Limits", "Input tokens per minute.", metavar="N")
    ] = None
    output_tpm: Annotated[
        Count | None, option("Limits", "Output tokens per minute.", metavar="N")
    ] = None
    max_concurrency: Annotated[
        Count | None,
        option(
            "Limits",
            "Requests in flight at once, over all workers (64, or what the given rate needs).",
            metavar="N",
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


def load_job(
    flags: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Job:
    """The job of flags over environment over file, checked.

    `flags` holds only what was given. Raises JobError: the key, its value and what is allowed.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for layer in (read_job_file(file) if file else {}, read_environment(environment), flags):
        values = {**values, **with_prompt(layer)}
    job = convert(values)
    check(job)
    return job


def with_prompt(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` of one origin, with the prompt read from its file. Raises JobError."""
    file, prompt = values.get("prompt_file"), values.get("prompt")
    if file is None:
        return values if prompt is None else {**values, "prompt_file": None}
    if prompt is not None:
        raise JobError("both --prompt and --prompt-file are given", "Keep one of them.")
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            f"--prompt-file {path}: {reason(error)}", "Name a readable UTF-8 file."
        ) from None
    return {**values, "prompt": text}


def reason(error: Exception) -> str:
    """Why a file can't be read, without its name, which stands before it."""
    return getattr(error, "strerror", None) or str(error)


def convert(values: Mapping[str, Any]) -> Job:
    """`values` as a Job; raises JobError for unknown keys and for values of the wrong type."""
    known = {one.name: one for one in options()}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise JobError(
                f"there is no option {key!r}",
                f"Did you mean {near[0]!r}?" if near else "See `penstock run --help`.",
            )
    try:
        return msgspec.convert({key: plain_text(key, one) for key, one in values.items()}, Job)
    except msgspec.ValidationError as error:
        key = str(error).partition("$.")[2].rstrip("`").split("[")[0].split(".")[0]
        raise misfit(known[key], values[key], known[key].flag) from None


def plain_text(key: str, value: Any) -> Any:
    """A value as its option has it: quantities are text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if key in QUANTITIES and is_number else value


def misfit(one: Option, value: Any, where: str) -> JobError:
    """The error for a value that an option can't have."""
    too_large = isinstance(value, int) and value > MOST
    allowed = f"at most {MOST:,}" if too_large else expected(one)
    return JobError(f"{where} {value!r}: expected {allowed}", f"{where}: {one.help}")


def expected(one: Option) -> str:
    """What an option's value has to be, in words."""
    words = [
        EXPECTED[get_origin(kind) or kind]
        for kind in plain_types(one.type)
        if kind is not type(None) and get_origin(kind) is not Literal
    ]
    words += allowed_words(one)
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def read_job_file(path: Path) -> dict[str, Any]:
    """The keys of a job file, with its paths made relative to it. Raises JobError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise JobError(f"job file {path}: {reason(error)}", "Mend it, or name another.") from None
    values = {key.replace("-", "_"): value for key, value in values.items()}
    if isinstance(values.get("inputs"), str):
        values["inputs"] = [values["inputs"]]
    try:
        convert(values)
    except JobError as error:
        raise JobError(f"job file {path}: {error.what}", error.next_step) from None
    here = path.parent
    for key in PATH_KEYS & values.keys():
        values[key] = str(here / values[key])
    if "inputs" in values:
        values["inputs"] = [item if item == "-" else str(here / item) for item in values["inputs"]]
    return values


def read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The options that PENSTOCK_* variables give. Raises JobError if one doesn't parse."""
    found: dict[str, Any] = {}
    for one in options():
        text = environment.get(one.variable)
        if text is not None:
            found[one.name] = parse_text(one, text, one.variable)
    return found


def parse_text(one: Option, text: str, where: str) -> Any:
    """The value of an option written as text, in a flag or a variable. Raises JobError."""
    if one.name == "inputs":
        return tuple(text.split(os.pathsep))
    if get_origin(one.type) is dict:
        return dict(parse_pair(one, part) for part in text.split("\n") if part)
    if text in allowed_words(one):
        return text
    kind = plain_types(one.type)[0]
    try:
        if kind is bool:
            return FLAG_WORDS[text.lower()]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError):
        raise misfit(one, text, where) from None


def plain_types(annotation: Any) -> list[Any]:
    """The members of a union, each without its constraints: `Count | None` is [int, NoneType]."""
    members = (
        get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    )
    return [get_args(one)[0] if get_origin(one) is Annotated else one for one in members]


def allowed_words(one: Option) -> tuple[str, ...]:
    """The words that a Literal part of an option's type allows."""
    literals = (kind for kind in plain_types(one.type) if get_origin(kind) is Literal)
    return tuple(word for kind in literals for word in get_args(kind))


def parse_pair(one: Option, text: str) -> tuple[str, Any]:
    """KEY=VALUE of a repeated option; a --param's value is JSON where it parses."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise JobError(f"{one.flag} {text!r}: expected {one.metavar}")
    if one.name != "param":
        return key, value
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with dotted keys nested: {"a.b": 1} is {"a": {"b": 1}}. Raises JobError."""
    tree: dict[str, Any] = {}
    for dotted, value in params.items():
        *parents, leaf = dotted.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise JobError(f"--param {dotted}: {parent} has a value already")
        if leaf in node:
            raise JobError(f"--param {dotted}: given twice")
        node[leaf] = value
    return tree


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


def check(job: Job) -> None:
    """What types can't say. Raises JobError, so that nothing is sent for a job that can't work."""
    if job.prompt is not None and job.messages is not None:
        raise JobError("both --prompt and --messages are given", "Keep one of them.")
    if job.output and Path(job.output).suffix not in OUTPUT_FORMATS:
        raise JobError(
            f"--output {job.output!r}: the format can't be told from its suffix",
            f"Allowed: {', '.join(OUTPUT_FORMATS)}.",
        )
    if job.api_key_env and job.api_key_file:
        raise JobError("both --api-key-env and --api-key-file are given", "Keep one of them.")
    check_url("base_url", job.base_url)
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
    nested(job.param)
    parse_percent(job.stop_failed, "stop_failed")
    parse_percent(job.allow_failed, "allow_failed")
    parse_duration(job.grace, "grace")
    if job.timeout == float("inf"):
        raise JobError("--timeout inf: expected a number of seconds", "Give a long one: 86400.")


def is_port(text: str) -> bool:
    return text.isdecimal() and int(text) < 65536


def check_url(name: str, url: str) -> None:
    """Raises JobError unless `url` is absolute, http(s), without credentials, query or fragment."""
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
    if parts.query or parts.fragment:
        raise JobError(f"{flag} {url!r}: has a query or a fragment", "Give the URL up to its path.")


def identity(job: Job) -> dict[str, Any]:
    """What makes a job this job and no other; a change of it is refused on resume.

    The endpoint's host is free to change, its path is not.
    """
    kept = {one.name: getattr(job, one.name) for one in options() if one.identity}
    kept["output"] = Path(job.output).name  # its folder is where the run directory is, or told
    kept["base_url_path"] = urlsplit(job.base_url).path.rstrip("/")
    return kept
