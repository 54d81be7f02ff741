"""Templates: refused, or rendered within bounds, for columns of every kind; or a RenderError.

What follows a NUL is a row of JSON, whose columns go into it too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from penstock.errors import TemplateError
from penstock.job import Job
from penstock.providers import allowance
from penstock.providers.openai import OpenAI
from penstock.providers.provider import UnrenderableRecord
from penstock.record import Record
from penstock.sources.jsonl import fields_of

SECONDS: Final = 0.02  # in place of the seconds that an endless template has

FIELDS: Final[dict[str, Any]] = {
    "a": "some text",
    "b": [1, None, "x", {"k": [2]}],
    "c": {"items": 1, "k": {"d": None}},
    "n": 7,
    "f": 1.5,
    "none": None,
    "yes": True,
    "odd name": "<é>",
}

SENSIBLE: Final = (
    "Answer this: {{ a }}",
    "{{ a | upper | truncate(20) }}{% if n > 3 %}, {{ n * 2 }}{% else %}-{% endif %}",
    "{% for one in b %}{{ loop.index }}. {{ one | default('-') }}\n{% endfor %}",
    "{% macro m(x, y=1) %}<{{ x }}:{{ y }}>{% endmacro %}{{ m(a) }}{{ m('z', y=n) }}",
    "{% set ns = namespace(t='') %}{% for i in range(3) %}{% set ns.t = ns.t ~ i %}{% endfor %}",
    "{{ '%05d|%s' % (n, a) }}{{ '{:>8.2f}'.format(f) }}{{ c.k | tojson(indent=2) }}",
    "{{ record['odd name'] }}{{ b | map('string') | list | length }}{{ a[2:5] ~ a[::-1] }}",
    "{% call(x) m2() %}{{ x }}{% endcall %}{% filter upper %}{{ a }}{% endfilter %}",
    "{% set s %}{{ a }}{% endset %}{{ s }}{% with q = n %}{{ q // 2 }}{% endwith %}",
)
HOSTILE: Final = (
    "{% for i in range(10**12) %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10**10 }}{{ 9**9**9 }}{{ 10**10 * [1] }}{{ '%9999999999d' % 1 }}",
    "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ '{0.__class__}'.format(a) }}",
    "{{ '{:>9999999999}'.format(a) }}{{ a.zfill(10**10) }}{{ 1.5 | round(10**9) }}",
    "{% set ns = namespace(t='ab') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}"
    "{% endfor %}{{ ns.t }}",
    "{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
    "{% for i in b recursive %}{{ loop(b) }}{% endfor %}{{ self }}{{ range }}{{ cycler }}",
)


def seeds() -> Sequence[bytes]:
    texts = [*SENSIBLE, *HOSTILE]
    return [
        *(text.encode() for text in texts),
        b"{{ x }}{{ y.z }}\0" + json.dumps({"x": 1}).encode(),
    ]


def once(data: bytes, folder: Path) -> None:
    template, _, row = data.partition(b"\0")
    more = fields_of(row)
    fields = {**FIELDS, **(more if isinstance(more, dict) else {})}
    try:
        dialect = OpenAI(Job(model="m", prompt=template.decode("utf-8", "replace")))
        dialect.check_columns(fields)
    except TemplateError as error:
        assert error.what.startswith("--prompt")
        return
    try:
        with patch.object(allowance, "MOST_SECONDS", SECONDS):
            request = dialect.request(Record(0, "in.jsonl:1", fields=fields))
    except UnrenderableRecord as error:
        assert str(error).isprintable()
        return
    assert json.loads(request.body)["messages"][0]["role"] == "user"
