"""The job: every option declared once, and what makes a job this job."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import JobError
from penstock.job import Job, check, identity, nested, options, parse_duration, parse_percent

BY_NAME = {one.name: one for one in options()}
SECRETS = {"api_key_env", "api_key_file", "header"}


def test_every_option_has_help_that_is_a_sentence_and_a_group() -> None:
    assert list(BY_NAME) == list(Job.__struct_fields__)
    for one in BY_NAME.values():
        assert one.help[0].isupper() and one.help.endswith("."), one.name
        assert one.group
        assert one.flag == "--" + one.name.replace("_", "-")
        assert one.variable == "PENSTOCK_" + one.name.upper()


# --- identity -------------------------------------------------------------------------------------


def test_what_asks_something_else_is_identity_and_how_fast_is_not() -> None:
    kept = identity(Job())
    assert {"model", "prompt", "system", "messages", "param", "output", "keep", "id"} <= kept.keys()
    assert not {"rpm", "tpm", "workers", "timeout", "limit", "progress"} & kept.keys()
    assert not SECRETS & kept.keys()


def test_of_the_base_url_only_the_path_is_identity() -> None:
    one = identity(Job(base_url="http://a:1/v1/"))
    assert one == identity(Job(base_url="https://b/v1"))
    assert one != identity(Job(base_url="http://a:1/v2"))


# --- small parsers --------------------------------------------------------------------------------


@given(st.dictionaries(st.from_regex(r"[a-c](\.[a-c]){0,2}", fullmatch=True), st.integers()))
def test_dotted_keys_nest_or_are_refused_and_no_value_is_lost(params: dict[str, int]) -> None:
    try:
        tree = nested(params)
    except JobError:
        keys = list(params)
        assert any(one != other and other.startswith(one + ".") for one in keys for other in keys)
        return
    for dotted, value in params.items():
        node: Any = tree
        for part in dotted.split("."):
            node = node[part]
        assert node == value


@given(st.floats(0, 100))
def test_a_share_is_the_same_in_percent(percent: float) -> None:
    assert parse_percent(f"{percent!r}%", "x") == percent / 100
    assert parse_percent(repr(percent / 100), "x") == percent / 100


@pytest.mark.parametrize("text", ["5", "-1%", "101%", "1%%", "%", "", "nan", "inf", "5 percent"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(JobError, match="expected a share"):
        parse_percent(text, "x")


def test_a_duration_has_a_unit_or_is_in_seconds() -> None:
    found = {text: parse_duration(text, "x") for text in ("25", "25s", "1.5 m", "1h", "20ms")}
    assert found == {"25": 25, "25s": 25, "1.5 m": 90, "1h": 3600, "20ms": 0.02}
    for text in ("", "s", "-1s", "1d", "nan", "inf"):
        with pytest.raises(JobError, match="expected a duration"):
            parse_duration(text, "x")


@pytest.mark.parametrize("text", ["9" * 5000, "65536", "-1", "\u00b2"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(JobError, match="--metrics-port"):
        check(Job(metrics_port=text))


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {"a": [float("inf")]}])
def test_a_parameter_that_json_has_no_number_for_is_refused(value: object) -> None:
    with pytest.raises(JobError, match="--param: JSON has no infinity and no NaN"):
        check(Job(param={"x": value}))


@pytest.mark.parametrize("value", [1 << 64, {"a": [-(1 << 63) - 1]}])
def test_a_whole_number_that_workers_can_not_be_sent_is_refused(value: object) -> None:
    check(Job(param={"x": (1 << 64) - 1}))
    with pytest.raises(JobError, match="--param: a whole number of more than 64 bits"):
        check(Job(param={"x": value}))


@pytest.mark.parametrize("options", [{"model": "\udc84"}, {"param": {"x": object()}}])
def test_a_value_that_can_not_be_written_down_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(JobError, match="can't be written as JSON"):
        check(Job(**options))  # type: ignore[arg-type]
