from __future__ import annotations

import pytest

from penstock.errors import TemplateError
from penstock.providers.columns import check_columns, shown, unknown_columns
from penstock.providers.templates import Template

COLUMNS = ["id", "text", "odd name", "items"]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("plain", []),
        ("{{ text }} {{ record.id }} {{ record['odd name'] }}", []),
        ("{{ txt }}", ["txt"]),
        ("{{ b }} {{ a.x }}", ["a", "b"]),
        ("{{ record.txt }}", ["txt"]),
        ("{{ record['odd'] }}", ["odd"]),
        ("{{ record[text] }}", []),
        ("{{ record.keys() | list }}", []),
        ("{{ record.get('nothing', 1) }}", []),
        ("{{ txt | default('x') }} {{ txt }}", []),
        ("{{ record.txt | d }}", []),
        ("{{ record['txt'] | default(text) }}", []),
        ("{% if txt is defined %}{{ txt }}{% endif %}", []),
        ("{% if txt is not defined %}{% else %}{{ txt }}{% endif %}", []),
        ("{% if txt %}{{ txt }}{% endif %}", ["txt"]),
        ("{% for one in items %}{{ one }}{{ loop.index }}{% endfor %}", []),
        ("{% set txt = text %}{{ txt }}", []),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", []),
    ],
)
def test_the_columns_that_a_template_needs_and_that_are_not_there_are_found(
    text: str, unknown: list[str]
) -> None:
    assert unknown_columns(Template("--prompt", text), COLUMNS) == unknown


def test_a_missing_column_is_told_with_the_nearest_name_and_all_others() -> None:
    with pytest.raises(TemplateError) as caught:
        check_columns(Template("--system", "{{ txt }}"), COLUMNS)
    assert caught.value.what == "--system: there is no column 'txt'"
    assert caught.value.next_step == (
        "Did you mean 'text'? The input has: id, items, odd name, text."
    )


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(TemplateError) as caught:
        check_columns(Template("--prompt", "{{ zzz }}"), COLUMNS)
    assert caught.value.next_step.startswith("The input has: ")


def test_many_columns_are_told_shortly() -> None:
    assert shown([f"c{n:02}" for n in range(20)]).endswith("c11 and 8 more")
