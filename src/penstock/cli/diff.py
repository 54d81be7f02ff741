"""`penstock diff`: two runs over the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import GroupedCommand
from penstock.errors import OutputError, UsageError
from penstock.job import OUTPUT_FORMATS

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.cli.comparison import Comparison, Difference
    from penstock.cli.text import Section
    from penstock.ledger.figures import Figures

HELP = """Compare two runs over the same rows: another prompt, another model, other parameters.

Agreement is the share of answers that are the same, of the rows that both runs answered: the same
text, or the same value where both are JSON. Rows are matched by their numbers where both runs read
the same input, else by their ids. The runs need not be complete.

\b
    penstock diff small.parquet.run large.parquet.run
    penstock diff small.parquet.run large.parquet.run -o both.parquet
"""


def diff(
    run_a: str,
    run_b: str,
    by: str | None,
    shown: int,
    output: str | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Compare, and print what was found."""
    from penstock.cli.comparison import Comparison, joined, matching, side_of
    from penstock.cli.text import print_json, print_sections

    first, second = side_of(Path(run_a)), side_of(Path(run_b))
    chosen = matching(first, second) if by is None else ("id" if by == "id" else "row")
    found = Comparison(most_shown=shown, by=chosen)
    with writing(output, overwrite=overwrite) as write:
        for pairs in joined(first, second, chosen):
            write(found.add(pairs))
    if not found.matched:
        raise UsageError(
            f"{run_a} and {run_b} have no rows in common", "Match them otherwise: --by id or row."
        )
    if as_json:
        print_json(json_of(found))
    else:
        print_sections(headline(found), sections(found, run_a, run_b))
        print_differences(found, run_a, run_b, (first.embeds, second.embeds))
    return 0


@contextmanager
def writing(output: str | None, *, overwrite: bool) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Takes batches of the joined table, into a file if one is named. Raises OutputError."""
    if output is None:
        yield lambda batch: None
        return
    from penstock.cli.comparison import JOINED_SCHEMA
    from penstock.disk import Disk
    from penstock.ledger.formats import writer_for
    from penstock.ledger.output_file import OutputFile

    target = Path(output)
    if target.suffix not in OUTPUT_FORMATS:
        raise OutputError(
            f"--output {output!r}: the format can't be told from its suffix",
            f"Allowed: {', '.join(OUTPUT_FORMATS)}.",
        )
    if target.exists() and not overwrite:
        raise OutputError(f"{output} is there already", "Add --overwrite, or name another.")
    with OutputFile(Disk(), target, "diff") as file:
        writer = writer_for(target, file.sink, JOINED_SCHEMA)
        yield writer.write
        writer.close()
        file.finish()
        file.publish()


def headline(found: Comparison) -> str:
    """`92 % of 1,000 answers are the same`."""
    from penstock.observe.words import count, percent

    both = found.same_text + found.same_json + found.other
    if found.agreement is None:
        return f"No row was answered in both runs, of {count(found.matched)}"
    return f"{percent(found.agreement)} of {count(both)} answers are the same"


def sections(found: Comparison, run_a: str, run_b: str) -> Iterator[Section]:
    """What was found."""
    from penstock.observe.words import count

    yield "A", [run_a]
    yield "B", [run_b]
    missing = ((found.only_first, "only in A"), (found.only_second, "only in B"))
    others = [f"{count(number)} {words}" for number, words in missing if number]
    yield "rows", [" · ".join([f"{count(found.matched)} in both, matched by {found.by}", *others])]
    kinds = ((found.same_text, "same text"), (found.same_json, "same JSON"), (found.other, "other"))
    yield "answers", [" · ".join(f"{count(number)} {words}" for number, words in kinds)]
    if found.outcomes:
        changes = sorted(found.outcomes.items(), key=lambda one: -one[1])
        yield "outcomes", [f"{name} {count(number)}" for name, number in changes]
    for name, words in (("tokens", tokens), ("cost", cost), ("latency", latency)):
        if told := [
            f"{side} {words(sums)}" for side, sums in zip("AB", found.figures, strict=True)
        ]:
            yield name, told


def tokens(sums: Figures) -> str:
    from penstock.observe.table import token_words

    return token_words(sums.tokens)


def cost(sums: Figures) -> str:
    from penstock.observe.words import money

    return "-" if sums.cost_usd is None else money(sums.cost_usd)


def latency(sums: Figures) -> str:
    from penstock.observe.words import seconds

    return f"p50 {seconds(sums.quantile_seconds(0.5))} · p99 {seconds(sums.quantile_seconds(0.99))}"


def print_differences(found: Comparison, run_a: str, run_b: str, embeds: tuple[bool, bool]) -> None:
    """Some rows that ended otherwise, both answers beside each other."""
    from penstock.cli.beside import beside, columns_here
    from penstock.observe.words import visible

    for one in found.shown:
        name = f" ({visible(one.id)})" if one.id is not None else ""
        sides = ((run_a, told(one.first, embeds[0])), (run_b, told(one.second, embeds[1])))
        click.echo("\n".join(["", f"row {one.row}{name}", *beside(*sides, columns_here())]))


def told(result: dict[str, Any], embeds: bool) -> str:
    """What is said of a result to people."""
    from penstock.vector import words

    return words(said(result)) if embeds else said(result)


def said(result: dict[str, Any]) -> str:
    """The answer, or the class of what there is in its place."""
    from penstock.cli.comparison import ending
    from penstock.record import SUCCEEDED

    how = ending(result)
    return result["output"] or "" if how == SUCCEEDED else f"failed: {how}"


def json_of(found: Comparison) -> dict[str, Any]:
    """The comparison for --json."""
    return {
        "by": found.by,
        "matched": found.matched,
        "only_a": found.only_first,
        "only_b": found.only_second,
        "agreement": found.agreement,
        "same_text": found.same_text,
        "same_json": found.same_json,
        "other": found.other,
        "outcomes": found.outcomes,
        "a": figures_of(found.figures[0]),
        "b": figures_of(found.figures[1]),
        "differences": [difference(one) for one in found.shown],
    }


def figures_of(sums: Figures) -> dict[str, Any]:
    return {
        "succeeded": sums.succeeded,
        "failed": sums.failed,
        "tokens": sums.tokens,
        "cost_usd": sums.cost_usd,
        "p50_seconds": sums.quantile_seconds(0.5),
        "p99_seconds": sums.quantile_seconds(0.99),
    }


def difference(one: Difference) -> dict[str, Any]:
    return {"row": one.row, "id": one.id, "a": said(one.first), "b": said(one.second)}


command = GroupedCommand(
    "diff",
    callback=diff,
    params=[
        click.Argument(["run_a"], metavar="RUN_A"),
        click.Argument(["run_b"], metavar="RUN_B"),
        click.Option(
            ["--by"],
            type=click.Choice(["row", "id"]),
            default=None,
            help="How rows belong together; else by number where both runs read the same input.",
        ),
        click.Option(
            ["-n", "--shown"],
            type=click.IntRange(min=0),
            default=3,
            metavar="N",
            help="How many rows that ended otherwise are shown. [default: 3]",
        ),
        click.Option(
            ["-o", "--output"],
            metavar="PATH",
            help="Write the joined table, by suffix: .parquet, .arrow, .jsonl or .csv.",
        ),
        click.Option(["--overwrite"], is_flag=True, help="Replace a file that is there."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."),
    ],
    help=HELP,
)
