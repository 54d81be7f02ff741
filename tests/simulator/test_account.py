from __future__ import annotations

from penstock.simulator.account import Account
from penstock.simulator.settings import Settings


def statuses(account: Account, keys: list[str], paid: bool = True) -> list[tuple[int, str | None]]:
    refusals = [account.refuse(key, paid=paid) for key in keys]
    return [(one.status, one.code) if one else (200, None) for one in refusals]


def test_any_key_or_none_is_accepted_unless_one_is_set() -> None:
    assert Account(Settings()).refuse("", paid=True) is None


def test_only_the_key_that_is_set_is_accepted() -> None:
    account = Account(Settings(key="right"))
    assert statuses(account, ["right", "wrong", ""]) == [
        (200, None),
        (401, "invalid_api_key"),
        (401, None),
    ]


def test_the_first_key_dies_and_another_goes_on() -> None:
    account = Account(Settings(key_dies_after=2))
    assert [status for status, _ in statuses(account, ["a", "a", "a", "b", "b", "b", "a"])] == [
        200,
        200,
        401,
        200,
        200,
        200,
        401,
    ]


def test_free_requests_bring_no_end_nearer() -> None:
    account = Account(Settings(key_dies_after=1, quota_after=1))
    assert statuses(account, ["a"] * 3, paid=False) == [(200, None)] * 3


def test_a_refused_key_is_echoed_in_body_and_headers() -> None:
    refusal = Account(Settings(key="right")).refuse("Bearer sk-canary", paid=True)
    assert refusal is not None
    assert "sk-canary" in refusal.message and "sk-canary" in refusal.headers


def test_the_money_is_gone_for_every_key() -> None:
    account = Account(Settings(quota_after=2))
    assert statuses(account, ["a", "b", "c", "a"]) == [
        (200, None),
        (200, None),
        (429, "insufficient_quota"),
        (429, "insufficient_quota"),
    ]
