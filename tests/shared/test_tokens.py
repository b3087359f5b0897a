"""Signed tokens: whatever was not signed as this kind is none."""

from __future__ import annotations

import secrets
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import devices, tokens
from shared.settings import settings
from shared.upstash import keys


def test_body_comes_back_under_its_kind_alone(fresh_process: pytest.MonkeyPatch) -> None:
    body = secrets.token_bytes(48)
    token = tokens.sign("session", body)
    assert tokens.verified("session", token) == body
    assert tokens.verified("device", token) is None


@given(st.text(max_size=400))
def test_no_text_is_a_token_or_an_error(text: str) -> None:
    assert tokens.verified("session", text) is None


def test_one_character_more_less_or_other_is_no_token(fresh_process: pytest.MonkeyPatch) -> None:
    token = tokens.sign("session", b"\0" * 47)  # whose last character has bits to spare
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert tokens.verified("session", token[:place] + other + token[place + 1 :]) is None, place
        assert tokens.verified("session", token[:place] + token[place + 1 :]) is None, place
    for more in ("A", "=", ".", " ", "\n"):
        assert tokens.verified("session", token + more) is None


def test_key_of_another_id_does_not_verify(fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("SESSION_KEYS", f"k1:{'a' * 32}")
    settings.cache_clear()
    token = tokens.sign("session", b"body")
    fresh_process.setenv("SESSION_KEYS", f"k2:{'a' * 32}")
    settings.cache_clear()
    assert tokens.verified("session", token) is None
    assert tokens.verified("session", f"k2{token[2:]}") is None, "the id is signed too"


def test_device_is_its_accounts_for_a_year(fresh_process: pytest.MonkeyPatch) -> None:
    token = devices.issue("a@digis.test")
    device = devices.device_of(token, "a@digis.test")
    assert device is not None
    assert devices.device_of(token, "b@digis.test") is None
    assert devices.device_of(devices.issue("a@digis.test"), "a@digis.test") != device
    renewed = devices.issue("a@digis.test", token)
    assert devices.device_of(renewed, "a@digis.test") == device
    assert devices.device_of(devices.issue("a@digis.test", "forged"), "a@digis.test") != device

    year = 365 * keys.DAY
    now = time.time()
    for age, expected in ((year - 60, device), (year + 60, None)):
        fresh_process.setattr(time, "time", lambda age=age: now + age)
        assert devices.device_of(token, "a@digis.test") == expected
