from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import TemplateError
from penstock.providers.allowance import RenderError
from penstock.providers.templates import Template


def render(text: str, **fields: Any) -> str:
    return Template("--prompt", text).render(fields)


def test_columns_are_the_names_and_record_is_the_whole_row() -> None:
    assert render("{{ a }}-{{ record.a }}", a="x") == "x-x"
    assert Template("p", '{{ record["odd name"] }}').render({"odd name": "y"}) == "y"


def test_text_is_kept_to_the_last_newline_and_nothing_is_escaped() -> None:
    assert render("<{{ a }}>\n\n", a="<&é>") == "<<&é>>\n\n"


PLAIN = st.none() | st.text() | st.integers() | st.floats() | st.booleans()
PIECES = st.lists(
    st.sampled_from(["{{ a }}", "{{b}}", "{{ c }}", "text ", "\n", "{# note #}", "{{- a -}}"])
)


@given(PIECES, st.dictionaries(st.sampled_from(["a", "b", "c"]), PLAIN | st.lists(st.text())))
def test_a_plain_template_is_the_same_with_and_without_jinja(
    pieces: list[str], fields: dict[str, Any]
) -> None:
    plain = Template("--prompt", "".join(pieces))
    full = Template("--prompt", "".join(pieces) + "{% if false %}{% endif %}")
    assert plain.pieces is not None
    assert full.pieces is None
    try:
        expected = full.render(fields)
    except RenderError as error:
        with pytest.raises(RenderError) as caught:
            plain.render(fields)
        assert str(caught.value) == str(error)
    else:
        assert plain.render(fields) == expected


@pytest.mark.parametrize("text", ["{{ range }}", "{{ record }}", "{{ namespace }}"])
def test_names_with_a_meaning_of_their_own_are_left_to_jinja(text: str) -> None:
    assert Template("p", text).pieces is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ a + 1 }}", "TypeError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ a.__class__.__mro__ }}", "unsafe"),
        ("{% for i in range(1000000) %}{% endfor %}", "OverflowError"),
        ("{{ o.update({'a': 2}) }}", "SecurityError"),
        ("{{ '\\ud800' | tojson }}", "UnicodeEncodeError"),
    ],
)
def test_whatever_goes_wrong_in_a_template_is_the_record_s_error(text: str, why: str) -> None:
    with pytest.raises(RenderError, match=why):
        render(text, a="x", o={"a": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\ntwo {{ a", r"^--prompt, line 2: "),
        ("{% if a %}", r"^--prompt, line 1: "),
        ("\n\n{{ a | nosuch }}", r"^--prompt, line 3: No filter named 'nosuch'"),
        ("{% include 'x' %}", "takes in another template"),
        ("{% extends a %}", "takes in another template"),
        ("{{ 'a' ~ 'b'.nosuch }}", "'str object' has no attribute 'nosuch'"),
    ],
)
def test_a_template_that_can_not_be_compiled_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        Template("--prompt", text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ " + "(" * 150 + "a" + ")" * 150 + " }}{{ " + "not " * 5000 + "a }}",
        "{{ a" + ".b" * 5000 + " }}",
        "{% for i in a %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "9" * 5000 + " }}",
        "{{ m(a=1, a=2) }}",
        "{% macro m(a, a) %}{% endmacro %}",
    ],
)
def test_a_template_that_is_too_much_for_the_compiler_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^--prompt"):
        Template("--prompt", text)


@given(st.text(alphabet="{}%#ab |.'()\n", max_size=30))
def test_any_text_is_a_template_or_refused_and_renders_or_is_refused(text: str) -> None:
    try:
        template = Template("--prompt", text)
    except TemplateError:
        return
    try:
        assert isinstance(template.render({"a": "x"}), str)
    except RenderError as error:
        assert str(error).startswith("--prompt: ")
