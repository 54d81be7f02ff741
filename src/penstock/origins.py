"""Reading a job: flags over environment over file, each checked against the options of `Job`.

Whatever its origin, a value that can't be is refused by the name that the user wrote, with what is
expected there.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from penstock import endpoints
from penstock.answer_schema import check_schema, is_path, read_schema
from penstock.endpoints import check_endpoints
from penstock.errors import JobError
from penstock.job import (
    MOST,
    MOST_DIMENSIONS,
    MOST_ROWS_PER_REQUEST,
    MOST_SLOTS,
    Job,
    Option,
    check,
    options,
)

# Paths in a job file are relative to the file.
PATH_KEYS = frozenset({"output", "prompt_file", "api_key_file", "run_dir", "ca_file", "media_dir"})
PATHS_KEYS = frozenset({"inputs", "reuse"})  # and of these each

# Text on a command line, but a number in TOML and in Python just as well: 0.05, 25, 9464.
QUANTITIES = frozenset({"stop_failed", "allow_failed", "grace", "metrics_port"})

# What an option's value has to be, in words; a whole number is a Count, a number is Positive.
MESSAGES = "a column's name, or a list of messages of a role and a content or content_file"
OF_OPTION = {
    "endpoints": "a list of tables of options",
    "messages": MESSAGES,
    "schema": "a file of a JSON Schema, a type as module:Model, or a table",
    "max_output_retries": "a whole number from 0 to 1,000",
    "price": "KIND = USD, each of 0 to 1,000,000",
}
LONG = ("messages", "schema")
VARIABLES = "PENSTOCK_"
MISSPELT = 0.9  # how alike names are that were meant to be the same
MOST_OF_OPTION = {
    "max_concurrency": MOST_SLOTS,
    "dimensions": MOST_DIMENSIONS,
    "rows_per_request": MOST_ROWS_PER_REQUEST,
}
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
        values = {**values, **with_files(layer)}
    job = convert(values)
    check(job)
    job = endpoints.settled(job, values)
    check_endpoints(job)
    return job


def with_files(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` of one origin, with what stands in files read from there. Raises JobError."""
    return with_schema(with_contents(with_prompt(values)))


def with_schema(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` of one origin, with the schema read from where it is. Raises JobError."""
    if values.get("schema") is None:
        return values
    schema = read_schema(values["schema"])
    check_schema(schema)
    return {**values, "schema": schema}


def with_prompt(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` of one origin, with the prompt read from its file. Raises JobError."""
    file, prompt = values.get("prompt_file"), values.get("prompt")
    if file is None:
        return values if prompt is None else {**values, "prompt_file": None}
    if prompt is not None:
        raise JobError("both --prompt and --prompt-file are given", "Keep one of them.")
    return {**values, "prompt": read_text("--prompt-file", file)}


def with_contents(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` of one origin, with each message's content read from its file. Raises JobError."""
    listed = values.get("messages")
    if not isinstance(listed, list | tuple):
        return values
    return {**values, "messages": [with_content(place, one) for place, one in enumerate(listed)]}


def with_content(place: int, message: Any) -> Any:
    """A message, with its content read from its file. Raises JobError."""
    file = message.get("content_file") if isinstance(message, dict) else None
    if not isinstance(file, str | os.PathLike):
        return message
    if message.get("content") is not None:
        raise JobError(
            f"messages[{place}] has both a content and a content_file", "Keep one of them."
        )
    read = read_text(f"messages[{place}].content_file", os.fspath(file))
    return {**message, "content": read, "content_file": None}


def read_text(what: str, file: str) -> str:
    """The text in a file that an option names. Raises JobError."""
    path = Path(file)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError, too
        raise JobError(f"{what} {path}: {reason(error)}", "Name a readable UTF-8 file.") from None


def reason(error: Exception) -> str:
    """Why a file can't be read, without its name, which stands before it."""
    return getattr(error, "strerror", None) or str(error)


def read_job_file(path: Path) -> dict[str, Any]:
    """The keys of a job file, with its paths made relative to it. Raises JobError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(f"job file {path}: {reason(error)}", "Mend it, or name another.") from None
    values = underscored(values)
    if isinstance(tables := values.get("endpoints"), list):
        values["endpoints"] = [
            underscored(table) if isinstance(table, dict) else table for table in tables
        ]
    for key in PATHS_KEYS & values.keys():
        if isinstance(values[key], str):
            values[key] = [values[key]]
    try:
        convert(values)
    except JobError as error:
        raise JobError(f"job file {path}: {error.what}", error.next_step) from None
    here = path.parent
    for table in (values, *values.get("endpoints", ())):
        for key in PATH_KEYS & table.keys():
            table[key] = str(here / table[key])
    for key in PATHS_KEYS & values.keys():
        values[key] = [item if item == "-" else str(here / item) for item in values[key]]
    if isinstance(values.get("schema"), str) and is_path(values["schema"], here):
        values["schema"] = str(here / values["schema"])
    if isinstance(values.get("messages"), list):
        values["messages"] = [below(here, message) for message in values["messages"]]
    return values


def below(here: Path, message: dict[str, Any]) -> dict[str, Any]:
    """A message whose file is named from the folder `here`."""
    file = message.get("content_file")
    return message if file is None else {**message, "content_file": str(here / file)}


def underscored(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with their keys as options are named: `base-url` is `base_url`."""
    return {key.replace("-", "_"): value for key, value in values.items()}


def read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The options that PENSTOCK_* variables give.

    Raises JobError if one doesn't parse, or looks like an option that is spelt otherwise: a limit
    that was meant would not be kept.
    """
    found: dict[str, Any] = {}
    known = {one.variable: one for one in options()}
    for variable in environment:
        if variable.startswith(VARIABLES) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1, cutoff=MISSPELT)
            if near:
                raise JobError(f"there is no option {variable}", f"Did you mean {near[0]}?")
    for one in known.values():
        text = environment.get(one.variable)
        if text is not None:
            found[one.name] = parse_text(one, text, one.variable)
    return found


def explicit(
    flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> frozenset[str]:
    """The options that flags or the environment give."""
    return frozenset({*flags, *read_environment(environment)})


def parse_text(one: Option, text: str, where: str) -> Any:
    """The value of an option written as text, in a flag or a variable. Raises JobError."""
    if one.name == "endpoints" or (one.name == "messages" and text.lstrip().startswith("[")):
        return json_of(one, text, where)
    if get_origin(one.type) is tuple:
        return tuple(text.split(os.pathsep))
    if get_origin(one.type) is dict:
        return dict(parse_pair(one, part) for part in split_pairs(one, text))
    if text in allowed_words(one):
        return text
    kind = plain_types(one.type)[0]
    try:
        if kind is bool:
            return FLAG_WORDS[text.lower()]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError):
        raise misfit(one, text, where) from None


def json_of(one: Option, text: str, where: str) -> Any:
    """The value of an option that is written as JSON. Raises JobError."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise JobError(f"{where}: not JSON: {error}", f"Expected {OF_OPTION[one.name]}.") from None


def split_pairs(one: Option, text: str) -> Iterator[str]:
    """The KEY=VALUEs of one text: a line each, and a --price's with commas between them too."""
    for line in text.split("\n"):
        for part in line.split(",") if one.name == "price" else (line,):
            if part.strip():
                yield part


def parse_pair(one: Option, text: str) -> tuple[str, Any]:
    """KEY=VALUE of a repeated option; a --param's value is JSON where it parses."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise JobError(f"{one.flag} {text!r}: expected {one.metavar}")
    if one.name == "price":
        try:
            return key.strip(), float(value)
        except ValueError:
            raise JobError(f"{one.flag} {text!r}: expected {one.metavar}") from None
    if one.name != "param":
        return key, value
    try:
        return key, msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return key, value


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
    tables = values.get("endpoints") or ()
    for number, table in enumerate(tables if isinstance(tables, list | tuple) else (), 1):
        check_table(number, table)
    try:
        return msgspec.convert({key: plain_text(key, one) for key, one in values.items()}, Job)
    except UnicodeEncodeError as error:
        raise JobError(f"an option's value is not UTF-8: {error.object!r}") from None
    except msgspec.ValidationError as error:
        key = str(error).partition("$.")[2].rstrip("`").split("[")[0].split(".")[0]
        if key in LONG and not isinstance(values[key], str):  # too long to be shown whole
            raise JobError(f"{known[key].flag}: {error}", f"Expected {OF_OPTION[key]}.") from None
        raise misfit(known[key], values[key], known[key].flag) from None


def check_table(number: int, table: Any) -> None:
    """Raises JobError for an endpoint with an unknown key, or a value of the wrong type."""
    if not isinstance(table, dict):
        raise JobError(f"endpoint {number} {table!r}: expected a table of options")
    for key in table:
        known = (*endpoints.OPTIONS, *endpoints.OWN)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise JobError(
                f"endpoint {number}: an endpoint has no option {key!r} of its own",
                f"Did you mean {near[0]!r}?" if near else f"It may have: {', '.join(known)}.",
            )
    try:
        convert({key: value for key, value in table.items() if key in endpoints.OPTIONS})
    except JobError as error:
        raise JobError(f"endpoint {number}: {error.what}", error.next_step) from None


def plain_text(key: str, value: Any) -> Any:
    """A value as its option has it: quantities are text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if key in QUANTITIES and is_number else value


def misfit(one: Option, value: Any, where: str) -> JobError:
    """The error for a value that an option can't have."""
    most = MOST_OF_OPTION.get(one.name, MOST)
    too_large = isinstance(value, int) and value > most
    allowed = f"at most {most:,}" if too_large else expected(one)
    return JobError(f"{where} {value!r}: expected {allowed}", f"{where}: {one.help}")


def expected(one: Option) -> str:
    """What an option's value has to be, in words."""
    if one.name in OF_OPTION:
        return OF_OPTION[one.name]
    words = [
        EXPECTED[get_origin(kind) or kind]
        for kind in plain_types(one.type)
        if kind is not type(None) and get_origin(kind) is not Literal
    ]
    words += allowed_words(one)
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


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
