"""How often money may be moved: by one user from anywhere, and by one address for anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from shared.limits.gate import blocked
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.people import Buyer, new_key
from tools.local.rest.server import RestServer

WRONG = {"creator_id": "nobody", "tokens": 0, "kind": "gift"}


@pytest.fixture
async def elsewhere(digis: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with another address: on Linux all of 127/8 is this machine."""
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=digis.base_url, transport=transport, timeout=10) as http:
        yield http


async def _stop_the_clock(rest: RestServer, policy: str) -> None:
    """Have the windows of a policy end a whole window later: none ends while the test counts."""
    keys = [key.decode() for key in await rest.command("KEYS", f"rate:{policy}:*")]
    assert len(keys) == 2, "of the address and of the user"
    for key in keys:
        index, current, previous = (await rest.command("GET", key)).decode().split(":")
        await rest.command("SET", key, f"{int(index) + 1}:{current}:{previous}")


def _assert_denied(answer: httpx.Response, policy: str, window: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 0 < int(answer.headers["retry-after"]) <= 2 * window
    assert answer.headers["ratelimit"] == f'"{policy}";r=0;t={answer.headers["retry-after"]}'
    assert 'queries;desc="0"' in answer.headers["server-timing"]


async def test_eleventh_charge_in_a_minute_is_denied_by_user_and_by_address(
    fan: Buyer, new_buyer: NewBuyer, rest: RestServer, elsewhere: httpx.AsyncClient
) -> None:
    assert (await fan.charge("luna", 5)).headers["x-ratelimit-remaining"] == "9"
    await _stop_the_clock(rest, "payment")
    for remaining in range(8, -1, -1):  # what is refused is charged as what is done
        answer = await (fan.charge("luna", 5) if remaining % 2 else fan.post("charge", WRONG))
        assert answer.status_code == (201 if remaining % 2 else 422)
        assert answer.headers["x-ratelimit-remaining"] == str(remaining)
    denied = await fan.charge("luna", 5)
    _assert_denied(denied, "payment", 60)

    other = await new_buyer("fan2")
    _assert_denied(await other.charge("luna", 5), "payment", 60)
    blocked.clear()  # another process, which asks Redis
    _assert_denied(await other.charge("luna", 5), "payment", 60)
    moved = replace(fan, http=elsewhere)
    _assert_denied(await moved.charge("luna", 5), "payment", 60)
    assert (await replace(other, http=elsewhere).charge("luna", 5)).status_code == 201, "another user elsewhere"

    assert (await fan.purchase()).status_code == 201, "another policy"
    assert await fan.tokens() == 10_000 - 5 * 5


async def test_twenty_first_purchase_in_an_hour_is_denied(
    fan: Buyer, new_buyer: NewBuyer, rest: RestServer, elsewhere: httpx.AsyncClient
) -> None:
    assert (await fan.purchase()).headers["x-ratelimit-remaining"] == "19"
    await _stop_the_clock(rest, "token")
    for remaining in range(18, -1, -1):
        answer = await fan.purchase("t7")
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (422, str(remaining))
    _assert_denied(await fan.purchase(), "token", 3600)
    _assert_denied(await replace(fan, http=elsewhere).purchase(), "token", 3600)
    assert (await fan.charge("luna", 5)).status_code == 201, "another policy"


@pytest.mark.parametrize("path", ["charge", "tokens/purchase"])
async def test_malformed_json_is_refused_uncharged(fan: Buyer, rest: RestServer, path: str) -> None:
    for body in (b"{", b"", b"\xff", b'{"tokens": NaN}', b'{"note": "\\ud800"}', b"[" * 5000):
        headers = {"Content-Type": "application/json", "Idempotency-Key": new_key(), **fan.headers}
        answer = await fan.http.post(f"/payments/{path}", content=body, headers=headers)
        if body:
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json"), body
            assert "ratelimit" not in answer.headers
    assert len(await rest.command("KEYS", "rate:*")) in {0, 2}


async def test_denied_request_is_not_recorded_under_its_key(fan: Buyer, rest: RestServer) -> None:
    assert (await fan.charge("luna", 5)).status_code == 201
    keys = [key.decode() for key in await rest.command("KEYS", "rate:payment:*")]
    for key in keys:
        index = int((await rest.command("GET", key)).split(b":")[0])
        await rest.command("SET", key, f"{index + 1}:10:10")
    _assert_denied(await fan.charge("luna", 7, "a-key"), "payment", 60)
    await rest.command("DEL", *keys)
    blocked.clear()
    answer = await fan.charge("luna", 7, "a-key")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)
