"""Guessing is slow, from one address and against one account, and its owner is not locked out by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.functions.auth.conftest import NewPerson

WRONG = "not the password"


async def test_sixth_login_from_one_address_is_denied(new_person: NewPerson) -> None:
    for number in range(6):
        answer = await new_person().post("login", email=f"somebody{number}@digis.test", password=WRONG)
        assert answer.status_code == (401 if number < 5 else 429)
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert answer.json()["code"] == "rate_limited"


async def test_sixth_login_to_one_account_is_denied_from_whatever_address(
    new_person: NewPerson, from_address: Callable[[int], httpx.AsyncClient]
) -> None:
    person = await new_person().register()
    for number in range(6):
        body = {"email": person.email if number % 2 else f" {person.email.upper()}", "password": WRONG}
        answer = await from_address(2 + number).post("/auth/login", json=body)
        assert answer.status_code == (401 if number < 5 else 429), number
    answer = await from_address(9).post("/auth/login", json={"email": person.email, "password": person.password})
    assert answer.status_code == 429, "the right password comes too late too"


async def test_owner_with_a_device_token_signs_in_meanwhile(new_person: NewPerson) -> None:
    person, other = await new_person().register(), await new_person().register()
    for _ in range(5):
        await person.post("login", email=person.email, password=WRONG)
    assert (await person.post("login", email=person.email, password=person.password)).status_code == 429

    strangers = await person.post(
        "login", email=person.email, password=person.password, device_token=other.device_token
    )
    assert strangers.status_code == 429, "a token of another account is none"
    await person.login(device_token=person.device_token)

    for number in range(5):  # the device's own bucket is as small
        answer = await person.post("login", email=person.email, password=WRONG, device_token=person.device_token)
        assert answer.status_code == (401 if number < 4 else 429)


@pytest.mark.parametrize("spoil", [lambda t: t[:-1] + "x", lambda t: f"k2{t[2:]}", lambda _: "", lambda _: "a.b.c"])
async def test_spoilt_device_token_is_no_bucket_of_its_own(new_person: NewPerson, spoil: Callable[[str], str]) -> None:
    person = await new_person().register()
    for _ in range(5):
        await person.post("login", email=person.email, password=WRONG)
    token = spoil(person.device_token)
    assert (await person.post("login", email=person.email, password=WRONG, device_token=token)).status_code == 429


async def test_each_operation_has_a_bucket_of_its_own(new_person: NewPerson) -> None:
    person = new_person()
    asked: dict[str, dict[str, Any]] = {
        "login": {"email": person.email, "password": WRONG},
        "register": {"email": person.email, "username": person.username, "password": "short"},
        "otp/request": {"email": person.email, "purpose": "login"},
        "otp/verify": {"email": person.email, "purpose": "login", "code": "000000"},
        "password/reset": {"reset_token": "A" * 43, "password": person.password},
    }
    for path, body in asked.items():
        for number in range(6):
            answer = await person.post(path, **body)
            assert (answer.status_code == 429) == (number == 5), (path, number, answer.text)


async def test_malformed_json_is_not_charged_and_a_field_that_is_wrong_is(new_person: NewPerson) -> None:
    http = new_person().http
    for _ in range(7):
        answer = await http.post("/auth/login", content=b"{", headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
    for number in range(6):
        answer = await http.post("/auth/login", json={"email": "x", "password": WRONG})
        assert answer.status_code == (422 if number < 5 else 429)
