"""Claims: each key is new once, whoever asks, in however many processes."""

from __future__ import annotations

import mmap
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import twins
from core.stepped import interrupted
from penstock._core import Claims
from penstock.engine.region import anonymous_file

KEYS = st.integers(0, 2**64 - 1)
FULL_BUCKET = 0x9E3779B97F4A7C15  # of the mixing: its inverse puts keys where they are wanted


def core_claims() -> Claims:
    return Claims(mmap.mmap(-1, Claims.bytes_needed()), 0)


@pytest.fixture(params=[core_claims, twins.Claims], ids=["core", "twin"])
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    maker: Callable[[], Any] = request.param
    return maker


def in_bucket(number: int) -> list[int]:
    """Keys that all belong to bucket 0 of the first level."""
    inverse = pow(FULL_BUCKET, -1, 1 << 64)
    return [(n - 1) * inverse % (1 << 64) for n in range(2, number + 2)]


@pytest.mark.xdist_group("stepped")
@pytest.mark.parametrize("before", [0, 1, 15, 16])
def test_a_key_is_new_to_one_of_two_that_claim_it_at_once(stepped_core: Any, before: int) -> None:
    """Whatever step of the one the other comes between, be its bucket empty, or filling up."""
    *others, key = in_bucket(before + 1)
    for at in count():
        memory = mmap.mmap(-1, stepped_core.Claims.bytes_needed())
        first, second = (stepped_core.Claims(memory, 0) for _ in range(2))
        assert all(first.claim(other) for other in others)
        answers: list[bool] = []
        with interrupted(at, lambda: answers.append(second.claim(key))) as accesses:  # noqa: B023
            answers.append(first.claim(key))
            if accesses() <= at:
                break
        assert sorted(answers) == [False, True]


def test_a_key_is_new_once(make: Callable[[], Any]) -> None:
    claims = make()
    for key in (0, 5, 2**63, 2**64 - 1):
        assert claims.claim(key)
        assert not claims.claim(key)
    assert not claims.claim(1)  # as 0 is


@given(st.lists(KEYS | st.integers(0, 30), max_size=60))
def test_core_and_twin_agree(keys: list[int]) -> None:
    core, twin = core_claims(), twins.Claims()
    assert [core.claim(key) for key in keys] == [twin.claim(key) for key in keys]


def test_keys_beyond_a_full_bucket_are_found_in_the_next_level() -> None:
    claims, keys = core_claims(), in_bucket(500)
    assert all(claims.claim(key) for key in keys)
    assert not any(claims.claim(key) for key in keys)


def test_a_key_that_is_none_and_memory_that_is_too_small_are_refused() -> None:
    claims = core_claims()
    for key in (-1, 2**64):
        with pytest.raises(OverflowError):
            claims.claim(key)
    with pytest.raises(ValueError, match="do not fit"):
        Claims(bytearray(4096), 0)


CLAIMER = """
import mmap, sys
from penstock._core import Claims
claims = Claims(mmap.mmap(int(sys.argv[1]), 0), 0)
print(sum(claims.claim(n * 0x9E3779B97F4A7C15 % 2**64) for n in range(1, 20001)))
"""


def test_of_several_processes_one_has_each_key() -> None:
    descriptor = anonymous_file()
    with open(descriptor, "r+b", buffering=0) as file:
        file.truncate(Claims.bytes_needed())
        command = [sys.executable, "-c", CLAIMER, str(descriptor)]
        claimers = [
            subprocess.Popen(command, pass_fds=[descriptor], stdout=subprocess.PIPE)
            for _ in range(3)
        ]
        new = [int(one.communicate()[0]) for one in claimers]
    assert sum(new) == 20_000
