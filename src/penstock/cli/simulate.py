"""`penstock simulate`: serve a simulated provider on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click
import msgspec

from penstock.cli.options import GroupedCommand, GroupedOption, shown_default
from penstock.errors import JobError, UsageError
from penstock.job import parse_percent
from penstock.origins import reason
from penstock.simulator.settings import Settings

HELP = """Serve a simulated provider on this machine, until Ctrl+C.

It speaks OpenAI's API (chat completions, responses, completions and embeddings, also streamed),
Azure's, Anthropic's and Gemini's. Its base URL is printed on standard output; GET /stats tells what
it saw. Faults are shares of requests, such as 0.01 or 1%; the same seed draws the same ones.

\b
    penstock simulate --port 8000 --rpm 600 --throttle 1% --html-500 2%
"""


class Share(click.ParamType[float]):
    """A share of something, 0..1, also in percent."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return parse_percent(str(value), "share")
        except JobError:
            self.fail(f"{value!r} is no share such as 0.01 or 1%", param, ctx)


def simulate(key_env: str | None, key_file: str | None, **flags: Any) -> int:
    """Serve until a signal comes."""
    from penstock.simulator import serve

    key = key_of(key_env, key_file, os.environ)
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    serve(Settings(key=key, **given), announce)
    return 0


def announce(base_url: str) -> None:
    """Say where it listens, and how to use that."""
    click.echo(base_url)
    click.echo(
        f"Ask it:          penstock run INPUT -o OUTPUT --base-url {base_url} \\\n"
        f"                   --model m --prompt '...'\n"
        f"See what it saw: curl -s {base_url.removesuffix('/v1')}/stats\n"
        "Stop it:         Ctrl+C",
        err=True,
    )


def key_of(variable: str | None, file: str | None, environment: Mapping[str, str]) -> str | None:
    """The only key to accept; None for any. Raises UsageError."""
    if variable is not None and file is not None:
        raise UsageError("both --key-env and --key-file are given", "Keep one of them.")
    if variable is not None:
        key, where = environment.get(variable, ""), f"the environment variable {variable}"
    elif file is not None:
        key, where = read_key(Path(file)), f"--key-file {file}"
    else:
        return None
    if not key.strip():
        raise UsageError(f"there is no key in {where}", "Put one there.")
    return key.strip()


def read_key(path: Path) -> str:
    """What a key's file holds. Raises UsageError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--key-file {path}: {reason(error)}", "Name a readable file.") from None


def flags() -> Iterator[click.Parameter]:
    """A flag for each of the settings; for the key, which must not be in argv, where it is."""
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        if field.name == "key":
            yield from key_flags()
        else:
            yield flag_of(field.name, hints[field.name], field.default)


def key_flags() -> Iterator[click.Parameter]:
    yield GroupedOption(
        ["--key-env"],
        group="Key",
        metavar="VAR",
        help="The environment variable with the only key that is accepted; else any is.",
    )
    yield GroupedOption(
        ["--key-file"],
        group="Key",
        metavar="FILE",
        help="A file with the only key that is accepted.",
    )


def flag_of(name: str, hint: Any, default: Any) -> click.Parameter:
    """A flag for one setting, by its type and by what `penstock.job.option` says of it."""
    kind, *metas = get_args(hint)
    about = metas[-1]
    is_share = any(meta.le == 1 for meta in metas)
    is_list = get_origin(kind) is tuple
    return GroupedOption(
        ["--" + name.replace("_", "-"), name],
        group=about.extra["group"],
        help=about.description + (" Repeat it for more." if is_list else shown_default(default)),
        type=Share() if is_share else type_of(kind),
        metavar=about.extra["metavar"] or metavar(name, kind, is_share=is_share),
        is_flag=kind is bool,
        multiple=is_list,
        default=None,
    )


def type_of(kind: Any) -> Any:
    """How click is to read a flag's value."""
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    return kind if kind in (bool, int, float) else str


def metavar(name: str, kind: Any, *, is_share: bool) -> str | None:
    """What a flag's value looks like."""
    if kind is bool:
        return None
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    if is_share:
        return "SHARE"
    if kind in (int, float):
        return "S" if "seconds" in name else "N"
    return "NAME"


command = GroupedCommand("simulate", callback=simulate, params=list(flags()), help=HELP)
