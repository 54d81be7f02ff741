"""The endpoints of a job: each as a job of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.endpoints import at_one_place, dialect_of, endpoints_of
from penstock.errors import JobError
from penstock.job import Job, identity
from penstock.ledger.manifest import public_job
from penstock.origins import load_job

CANARY = "sk-canary-0123456789"
TWO = [{"base_url": "http://a:1/v1"}, {"base_url": "http://b:2/v1"}]


def load(*tables: Any, **job: Any) -> Job:
    return load_job({"endpoints": tables, **job}, {})


def test_a_job_without_endpoints_has_one_which_is_itself() -> None:
    job = Job(base_url="http://a:1/v1", rpm=5)
    (one,) = endpoints_of(job)
    assert (one.name, one.job, one.weight) == ("a:1", job, 1.0)


def test_what_an_endpoint_does_not_say_is_as_the_job_says_it() -> None:
    job = load(
        {"base_url": "http://a:1/v1", "rpm": 7, "weight": 3, "name": "big"},
        {"base_url": "http://b:2/v2", "model": "other", "header": {"X": "y"}},
        rpm=5,
        tpm=900,
        model="m",
        header={"A": "b"},
        timeout=9.0,
    )
    big, other = endpoints_of(job)
    assert (big.name, big.weight, big.job.rpm, big.job.tpm) == ("big", 3.0, 7, 900)
    assert (big.job.model, big.job.header, big.job.timeout) == ("m", {"A": "b"}, 9.0)
    assert (other.name, other.job.rpm, other.job.model) == ("b:2", 5, "other")
    assert other.job.header == {"X": "y"}, "the winner replaces all"
    assert dialect_of(big.job) != dialect_of(other.job)


@pytest.mark.parametrize("own", [{"api_key_env": "B"}, {"api_key_file": "f"}])
def test_a_key_of_ones_own_is_the_only_one(own: dict[str, str]) -> None:
    job = load(*TWO[:1], {**TWO[1], **own}, api_key_command="get-token", api_key_refresh=60.0)
    one, other = endpoints_of(job)
    assert (one.job.api_key_command, one.job.api_key_refresh) == ("get-token", 60.0)
    assert (other.job.api_key_command, other.job.api_key_refresh) == (None, None)


def test_two_keys_for_one_place_are_told_apart() -> None:
    names = [one.name for one in endpoints_of(load(TWO[0], TWO[0], TWO[1]))]
    assert names == ["a:1#1", "a:1#2", "b:2"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"rmp": 5}, "endpoint 2: an endpoint has no option 'rmp' of its own"),
        ({"timeout": 5.0}, "no option 'timeout' of its own"),
        ({"rpm": "x"}, "endpoint 2: --rpm 'x': expected a whole number"),
        ({"rpm": 0}, "endpoint 2: --rpm 0: expected a whole number of at least 1"),
        ({"weight": 0}, "weight 0: expected a number above 0"),
        ({"weight": float("inf")}, "expected a number above 0"),
        ({"weight": True}, "expected a number above 0"),
        ({"name": ""}, "name '': expected text"),
        ({"name": "a\nb"}, "can't be printed"),
        ({"name": "a:1"}, "name 'a:1' is that of another"),
        ({"base_url": "b"}, "endpoint 2: --base-url 'b': expected an http"),
        ({"api_key_env": "A", "api_key_file": "b"}, "both --api-key-env and --api-key-file"),
        ({"api_key_refresh": 5.0}, "--api-key-refresh is given without --api-key-command"),
        ("http://b:2/v1", "endpoint 2 'http://b:2/v1': expected a table"),
    ],
)
def test_what_no_endpoint_can_be_is_refused_with_its_number(table: Any, says: str) -> None:
    with pytest.raises(JobError) as caught:
        load(TWO[0], {**TWO[1], **table} if isinstance(table, dict) else table)
    assert says in caught.value.what


def test_a_file_a_flag_and_a_variable_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_text(
        "[[endpoints]]\nbase-url = 'http://a:1/v1'\napi_key_file = 'key'\n[[endpoints]]\nrpm = 6\n"
    )
    job = load_job({}, {}, file)
    first, second = endpoints_of(job)
    assert (first.job.base_url, first.job.api_key_file) == ("http://a:1/v1", f"{tmp_path}/key")
    assert second.job.rpm == 6
    text = msgspec.json.encode(job.endpoints).decode()
    assert load_job({}, {"PENSTOCK_ENDPOINTS": text}).endpoints == job.endpoints
    for wrong in ("{}", "[1", "[1]", "x"):
        with pytest.raises(JobError):
            load_job({}, {"PENSTOCK_ENDPOINTS": wrong})


def test_the_first_endpoint_is_a_jobs_identity_and_others_may_come_and_go() -> None:
    alone = load(TWO[0], model="m")
    both = load(*TWO, model="m")
    assert identity(endpoints_of(alone)[0].job) == identity(endpoints_of(both)[0].job)


def test_no_manifest_holds_an_endpoints_header() -> None:
    job = load({**TWO[0], "header": {"api-key": CANARY, "b": "env:B"}})
    public = public_job(job)
    assert CANARY not in repr(public)
    assert public["endpoints"][0]["header"] == {"api-key": "***", "b": "env:B"}
    assert job.endpoints[0]["header"]["api-key"] == CANARY


def test_simulated_endpoints_keep_names_limits_and_weights_and_need_no_key() -> None:
    job = load({**TWO[0], "api_key_env": "NONE", "rpm": 5}, {**TWO[1], "weight": 2})
    one, other = endpoints_of(at_one_place(job, "http://sim:9"))
    assert (one.name, one.job.base_url, one.job.rpm) == ("a:1", "http://sim:9/v1", 5)
    assert (one.job.api_key_env, other.weight, other.name) == (None, 2.0, "b:2")
