"""The README's table, out of committed results: one row a client, cheap ones first."""

from __future__ import annotations

from collections.abc import Iterable

from harness.figures import Figure, Spread
from harness.names import name_of
from harness.result import Result

HEAD = """| client | CPU per request, µs | against Go | over TLS, µs | against Go |
| --- | ---: | ---: | ---: | ---: |"""


def figures_of(results: Iterable[Result]) -> dict[tuple[str, bool], Figure]:
    """The figures by client and TLS; of a client that is in several results the first one's."""
    found: dict[tuple[str, bool], Figure] = {}
    for result in results:
        for figure in result.figures:
            found.setdefault((figure.client, figure.tls), figure)
    return found


def table(results: list[Result]) -> str:
    """Markdown; ratios are to Go in the same run, as medians over pairs."""
    found = figures_of(results)
    plain = sorted(
        (figure for (_, tls), figure in found.items() if not tls),
        key=lambda figure: figure.cpu_microseconds.median,
    )
    return "\n".join([HEAD, *(row(one, found.get((one.client, True))) for one in plain)])


def row(plain: Figure, tls: Figure | None) -> str:
    name = name_of(plain.client)
    if plain.client == "penstock":
        name = f"**{name}**"
    cells = [name, *cells_of(plain), *(cells_of(tls) if tls else ("", ""))]
    return f"| {' | '.join(cells)} |"


def cells_of(figure: Figure) -> tuple[str, str]:
    ratio = figure.ratios.get("go")
    against = "1" if figure.client == "go" else f"{short(ratio.median)} x" if ratio else ""
    return spread(figure.cpu_microseconds), against


def spread(figure: Spread) -> str:
    """The median, and in small the range over the pairs, where there is one."""
    low, median, high = map(short, (figure.least, figure.median, figure.most))
    return median if low == high else f"{median} <sub>{low} to {high}</sub>"


def short(value: float) -> str:
    """Two digits below ten, three above, none behind the point from 100 on."""
    if value < 10:
        return f"{value:.2g}" if value < 1 else f"{value:.1f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
