from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from penstock.providers.sandbox import RenderError
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
