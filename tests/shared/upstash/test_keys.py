"""Keys: every prefix with its time to live, and nothing personal in any."""

from __future__ import annotations

import pytest

from shared.settings import settings
from shared.upstash import keys


@pytest.fixture(autouse=True)
def _settings(fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("IDENTITY_HMAC_KEY", "k" * 32)


def test_times_to_live_are_the_designs() -> None:
    assert (keys.SHORT, keys.MEDIUM, keys.LONG, keys.DAY, keys.WEEK) == (300, 1800, 3600, 86400, 604800)
    found = {value.name: value.ttl for value in vars(keys).values() if isinstance(value, keys.Prefix)}
    assert found == {
        "user": 1800,
        "session": 86400,
        "token": 300,
        "creator": 300,
        "stream": 90,
        "rate": None,
        "otp": 600,
        "email": 600,
        "temp": 300,
        "analytics": 3600,
        "lock": 60,
        "flag": None,
        "counter": None,
    }


def test_key_has_its_prefix_and_its_parts() -> None:
    assert keys.key(keys.CREATOR, "profile", "luna") == "creator:profile:luna"


def test_stage_stands_in_front(fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("STAGE", "preview")
    assert keys.key(keys.CREATOR, "luna") == "preview:creator:luna"


@pytest.mark.parametrize("part", ["", "a:b", "a b", "ä", "a\n", "*", "a/b", "\ud800", "x" * 201])
def test_part_that_could_make_it_another_key_is_refused(part: str) -> None:
    with pytest.raises(keys.KeyPartInvalid) as refused:
        keys.key(keys.CREATOR, part)
    assert not part or part not in str(refused.value)


def test_personal_is_an_hmac_that_depends_on_the_key_and_the_kind(fresh_process: pytest.MonkeyPatch) -> None:
    one = keys.personal("ip", "203.0.113.7")
    assert one == keys.personal("ip", "203.0.113.7")
    assert len(one) == 32
    assert one != keys.personal("email", "203.0.113.7")
    fresh_process.setenv("IDENTITY_HMAC_KEY", "l" * 32)
    settings.cache_clear()
    assert one != keys.personal("ip", "203.0.113.7")
