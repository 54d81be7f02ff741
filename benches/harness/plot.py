"""The README's plot: a dot for each client on a logarithmic scale, a line over its range.

Dots, not bars: on a logarithmic scale a bar's length says nothing. Written by hand, as SVG that
reads on light and dark pages.
"""

from __future__ import annotations

import math
import textwrap
from xml.sax.saxutils import escape

from harness.figures import Figure
from harness.names import name_of

WIDTH, LEFT, RIGHT, TOP, LINE = 760, 250, 60, 58, 30
NOTE_CHARACTERS, NOTE_LINE = 110, 15
STYLE = """text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}
.title{font-size:15px;font-weight:600}.us{font-weight:600}.grid{stroke:#d0d7de}
.range{stroke:#8c959f;stroke-width:5;stroke-linecap:round}.dot{fill:#57606a}
.ours .dot{fill:#0969da}.ours .range{stroke:#80b3f0}"""


def plot(figures: list[Figure], note: str) -> str:
    """An SVG of clients' CPU per request, cheap ones on top."""
    figures = sorted(figures, key=lambda one: one.cpu_microseconds.median)
    scale = Scale.over(figures)
    notes = textwrap.wrap(note, NOTE_CHARACTERS)
    height = TOP + LINE * len(figures) + 42 + NOTE_LINE * len(notes)
    bottom = TOP + LINE * len(figures) + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(note)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#fff"/>',
        text(16, 26, "CPU per request, microseconds (logarithmic)", "title"),
        *(gridline(scale, decade, bottom) for decade in scale.ticks()),
        *(client(scale, one, TOP + LINE * at + LINE / 2) for at, one in enumerate(figures)),
        *(
            text(16, bottom + 24 + NOTE_LINE * at, words, "small")
            for at, words in enumerate(notes, 1)
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class Scale:
    """Microseconds to places from left to right."""

    def __init__(self, least: float, most: float) -> None:
        self._low, self._high = math.floor(math.log10(least)), math.ceil(math.log10(most))

    @classmethod
    def over(cls, figures: list[Figure]) -> Scale:
        """Raises ValueError for a figure below zero, as the difference of two short runs may be."""
        least = min(one.cpu_microseconds.least for one in figures)
        if least <= 0:
            raise ValueError(f"{least:.1f} us a request: the runs were too short; take --records")
        return cls(least, max(one.cpu_microseconds.most for one in figures))

    def ticks(self) -> list[int]:
        return [10**power for power in range(self._low, self._high + 1)]

    def place(self, microseconds: float) -> float:
        share = (math.log10(microseconds) - self._low) / (self._high - self._low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def gridline(scale: Scale, tick: int, bottom: float) -> str:
    x = f"{scale.place(tick):.1f}"
    line = f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{bottom:.1f}"/>'
    return line + text(float(x), bottom + 14, f"{tick:,}", "small", "middle")


def client(scale: Scale, figure: Figure, y: float) -> str:
    cpu = figure.cpu_microseconds
    low, dot, high = (f"{scale.place(one):.1f}" for one in (cpu.least, cpu.median, cpu.most))
    ours = ' class="ours"' if figure.client == "penstock" else ""
    words = f"{cpu.median:.1f}" if cpu.median < 100 else f"{cpu.median:,.0f}"
    return (
        f"<g{ours}>{text(LEFT - 14, y + 4, name_of(figure.client), '', 'end')}"
        f'<line class="range" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
        f'<circle class="dot" cx="{dot}" cy="{y}" r="6"/>'
        f"{text(float(high) + 12, y + 4, words, 'us')}</g>"
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
