"""JSON that proves itself."""

from __future__ import annotations

import json

import pytest

from penstock.ledger.sealed_json import pack, unpack

DATA = b'{"run_id": "5eed", "rows": [1, 2], "more": {"digest": "0"}}'


def test_an_object_comes_back_and_can_be_read_by_people_and_programs() -> None:
    packed = pack(DATA)
    assert json.loads(unpack(packed)) == json.loads(DATA)
    assert json.loads(packed).keys() == {"run_id", "rows", "more", "digest"}
    assert packed.splitlines()[1] == b'  "run_id": "5eed",'


def test_every_flipped_bit_and_every_prefix_is_refused() -> None:
    packed = pack(DATA)
    damaged = [packed[:size] for size in range(len(packed))]
    for bit in range(len(packed) * 8):
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for data in damaged:
        with pytest.raises(ValueError, match="its digest does not fit"):
            unpack(data)
