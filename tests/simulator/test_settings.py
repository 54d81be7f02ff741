from __future__ import annotations

import msgspec
import pytest

from penstock.errors import JobError
from penstock.simulator.settings import FAULTS, Settings, bounds


def test_every_option_has_a_default_and_a_help_text() -> None:
    Settings()
    for field in msgspec.inspect.type_info(Settings).fields:
        assert not field.required
        assert isinstance(field.type, msgspec.inspect.Metadata)
        assert (field.type.extra_json_schema or {}).get("description"), field.name


def test_every_fault_is_an_option() -> None:
    assert set(FAULTS) <= set(Settings.__struct_fields__)


@pytest.mark.parametrize("name", [name for name, _, _ in bounds()])
def test_a_value_out_of_bounds_is_refused_by_name(name: str) -> None:
    with pytest.raises(JobError, match=name.replace("_", "-")):
        Settings(**{name: -1})


def test_a_rate_above_1_is_refused() -> None:
    with pytest.raises(JobError, match="reject"):
        Settings(reject=1.1)


def test_fault_rates_that_add_up_to_more_than_1_are_refused() -> None:
    Settings(throttle=0.5, empty=0.5, reject=1)
    with pytest.raises(JobError, match=r"1\.1"):
        Settings(throttle=0.5, empty=0.6)


def test_half_of_a_tls_pair_is_refused() -> None:
    with pytest.raises(JobError, match="certfile and keyfile"):
        Settings(certfile="cert.pem")


def test_settings_survive_json() -> None:
    settings = Settings(seed=2**63 - 1, key="sk-secret", models=("a", "b"), throttle=0.25)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


def test_the_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(Settings(key="sk-secret"))
    assert "key=None" in repr(Settings())
