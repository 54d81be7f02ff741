from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from penstock.providers.allowance import RenderError
from penstock.providers.templates import Template


def render(text: str, **fields: Any) -> str:
    return Template("--prompt", text).render(fields)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("", ""),
        (7, "7"),
        (1.5, "1.5"),
        (True, "True"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 7, 14), "2026-07-14"),
        ({"a": [1, None, True, "é<"]}, '{"a":[1,null,true,"é<"]}'),
        ([], "[]"),
    ],
)
def test_values_are_printed_as_a_reader_expects(value: Any, printed: str) -> None:
    assert render("{{ a }}", a=value) == printed
    assert render("{{ a }}{% if true %}{% endif %}", a=value) == printed
    assert render("{{ a ~ '' }}", a=value) == printed


@pytest.mark.parametrize(
    "text",
    [
        "{{ a }}",
        "x {{ record.a }}",
        "{{ a | trim }}",
        "{{ a | truncate(20) }}",
        "{{ a | string }}",
        "{{ 'a: ' ~ a }}",
        "{{ b | join(', ') }}",
        "{{ b | map('upper') | list }}",
        "{% for one in b %}{{ one }}{% endfor %}",
    ],
)
def test_a_null_is_an_error_that_names_the_null_columns(text: str) -> None:
    with pytest.raises(RenderError, match=r"^--prompt: .*null.*\(null in this row: a\)$"):
        render(text, a=None, b=["x", None], c="y")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{ a | default('n/a') }}", "n/a"),
        ("{{ a | d }}", ""),
        ("{{ missing | default('m') }}", "m"),
        ("{{ a.b | default('deep') }}", "deep"),
        ("{{ '' | default('e') }}", ""),
        ("{{ '' | default('e', true) }}", "e"),
        ("{{ a or 'n/a' }}", "n/a"),
        ("{% if a is none %}none{% endif %}", "none"),
        ("{{ a | tojson }}", "null"),
        ("{{ 'x' if a }}", ""),
        ("{% if missing is defined %}x{% else %}y{% endif %}", "y"),
    ],
)
def test_a_null_or_an_undefined_that_is_taken_care_of_is_none(text: str, printed: str) -> None:
    assert render(text, a=None) == printed


@pytest.mark.parametrize(
    "text",
    [
        "{{ missing }}",
        "{{ missing.x }}",
        "{{ o.missing }}",
        "{{ missing ~ 'x' }}",
    ],
)
def test_an_undefined_is_an_error(text: str) -> None:
    with pytest.raises(RenderError, match=r"^--prompt: .*(undefined|no attribute)"):
        render(text, o={"a": 1})


@pytest.mark.parametrize("text", ["{{ o.keys }}", "{{ s.upper }}", "{{ s.upper ~ '' }}", "{{ b }}"])
def test_what_only_python_would_spell_so_is_an_error(text: str) -> None:
    with pytest.raises(RenderError, match="would be printed"):
        render(text, o={"a": 1}, s="x", b=b"raw")


def test_a_key_goes_before_a_method_of_the_same_name() -> None:
    assert render("{{ o.items }} {{ record.o['items'] }}", o={"items": "mine"}) == "mine mine"
    assert render("{% for k, v in o.items() %}{{ k }}={{ v }}{% endfor %}", o={"a": 1}) == "a=1"


def test_tojson_leaves_angle_brackets_and_other_scripts_alone() -> None:
    assert render("{{ a | tojson }}", a={"k": "<é&'>"}) == """{"k":"<é&'>"}"""
    assert render("{{ a | tojson(indent=2) }}", a=[1]) == "[\n  1\n]"


@pytest.mark.parametrize("name", ["lipsum", "cycler", "joiner", "dict"])
def test_a_global_does_not_stand_in_for_a_missing_column(name: str) -> None:
    with pytest.raises(RenderError, match=f"'{name}' is undefined"):
        render(f"{{{{ {name} }}}}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**10 }}",
        "{{ 10**10 * 'a' }}",
        "{{ [1] * 10**9 }}",
        "{{ 'a'|center(10**10) }}",
        "{{ 9**9**9 }}",
        "{{ '%9999999999d' % 1 }}",
    ],
)
def test_a_short_template_that_would_make_an_endless_text_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        Template("--prompt", text).render({"a": 1})


def test_ordinary_arithmetic_and_repetition_work() -> None:
    text = "{{ 3 * 4 }} {{ '-' * 5 }} {{ 2 ** 10 }} {{ 'x'|center(5) }} {{ '%03d' % 7 }}"
    assert Template("--prompt", text).render({"a": 1}) == "12 ----- 1024   x   007"


BIG = "{% set s = 'a' * 1000000 %}"
DOUBLED = (
    "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = GROWN %}{% endfor %}"
)


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% set x = range(99999) | list %}{% endfor %}",
        "{% macro m(n) %}{{ m(n - 1) ~ m(n - 1) if n else '' }}{% endmacro %}{{ m(60) }}",
        "{% for i in b recursive %}{% if loop.depth < 60 %}{{ loop(b) }}{% endif %}{% endfor %}",
    ],
)
def test_a_template_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("penstock.providers.allowance.MOST_SECONDS", 0.2)
    with pytest.raises(RenderError, match=r"takes longer than|makes more than"):
        Template("--prompt", text).render({"b": [1, 2]})


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{{ 'a' * 4000000 }}{% endfor %}",
        DOUBLED.replace("GROWN", "ns.x ~ ns.x"),
        DOUBLED.replace("GROWN", "ns.x + ns.x"),
        DOUBLED.replace("GROWN", "[ns.x, ns.x]") + "{{ ns.x }}",
        DOUBLED.replace("GROWN", "(ns.x, ns.x)") + "{{ ns.x }}",
        DOUBLED.replace("GROWN", "{'a': ns.x, 'b': ns.x}") + "{{ ns.x }}",
        DOUBLED.replace("GROWN", "namespace(a=ns.x, b=ns.x)") + "{{ ns.x }}",
        DOUBLED.replace("['a']", "3").replace("GROWN", "ns.x * ns.x"),
        "{{ 'a'.center(10**10) }}",
        "{{ 'a'.zfill(9999999999) }}",
        "{{ (1).to_bytes(9999999999) }}",
        "{{ '\t\t'.expandtabs(4000000) }}",
        BIG + "{{ s.replace('a', s) }}",
        BIG + "{{ s.join([s, s, s, s, s, s]) }}",
        BIG + "{{ s.translate({97: s}) }}",
        BIG + "{{ s | replace('a', s) }}",
        BIG + "{{ s | replace('', s) }}",
        BIG + "{{ range(1000) | join(s) }}",
        BIG + "{{ ([{'k': s}] * 1000) | join(attribute='k') }}",
        BIG + "{{ (([s] * 1000),) | string }}",
        BIG + "{{ s | wordwrap(1, true, s) }}",
        BIG + "{{ ('\n' * 1000) | indent(s, blank=true) }}",
        BIG + "{{ '%s%s%s%s%s' % (s, s, s, s, s) }}",
        BIG + "{{ '%s%s%s%s%s' | format(s, s, s, s, s) }}",
        BIG + "{{ ('{0}' * 1000).format(s) }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{{ '{:>{w}}'.format(1, w=9999999999) }}",
        "{{ '{x:>9999999999}'.format_map({'x': 1}) }}",
        "{{ '%9999999999d' | format(1) }}",
        "{{ 1.5 | round(9999999999, 'floor') }}",
        "{{ [1] | batch(9999999999, 'x') | list }}",
        "{{ [1] | slice(9999999999) | list }}",
        "{{ [1] | tojson(indent=9999999999) }}",
        "{{ [[1], [2]] | sum(start=[]) }}",
        "{{ 'a' | indent(9999999999, first=true) }}",
        "{{ b | map('upper') }}",
        "{{ namespace(a=1) }}",
    ],
)
def test_much_of_little_is_refused_before_it_is_made(text: str) -> None:
    with pytest.raises(RenderError):
        Template("--prompt", text).render({"b": ["x"]})


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(a) }}",
        "{{ '{0[__class__]}'.format(a) }}",
        "{{ ''['__class__'] }}",
        "{{ (a | attr('__class__')) ~ '' }}",
        "{{ range.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ '{x.__class__}'.format_map({'x': 1}) }}",
        "{{ environment }}",
    ],
)
def test_a_template_does_not_reach_beyond_its_row(text: str) -> None:
    with pytest.raises(RenderError):
        Template("--prompt", text).render({"a": "x"})


def test_time_in_which_the_process_was_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter(range(0, 10**9, 3600))
    monkeypatch.setattr("penstock.providers.allowance.time.perf_counter", lambda: next(now))
    assert render("{% for i in range(100) %}{{ i % 10 }}{% endfor %}") == "0123456789" * 10


def test_filters_do_what_they_do_in_jinja() -> None:
    text = (
        "{{ 'a-b'|replace('-', '+') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 'x\ny'|indent(2) }} "
        "{{ '%s=%d'|format('n', 7) }} {{ 2.345|round(1) }} {{ [1, 2]|sum }} {{ [3, 4]|join('+') }} "
        "{{ b|join(', ', attribute='k') }} {{ [1, 2, 3]|batch(2, 0)|list }} "
        "{{ 'one two'|wordwrap(3) }} {{ '{:>5.1f}|{n}'.format(2.25, n=1) }} "
        "{{ '<b>x</b> &amp; <!-- c --> y'|striptags }}"
    )
    assert Template("--prompt", text).render({"b": [{"k": 1}, {"k": 2}]}) == (
        "a+b bba x\n  y n=7 2.3 3 3+4 1, 2 [[1,2],[3,0]] one\ntwo   2.2|1 x & y"
    )
