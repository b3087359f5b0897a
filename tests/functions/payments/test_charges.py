"""Charges: a fan's tokens become a creator's earnings, less the fee; and everything that is refused."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.functions.auth.people import forget_limits
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.people import Buyer, code_of
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer

LUNA = str(demo_id("luna"))
GOOD: dict[str, Any] = {"creator_id": LUNA, "tokens": 5, "kind": "tip"}
CHARGE = {"id", "creator", "tokens", "fee_tokens", "kind", "created_at"}


def _fields(answer: httpx.Response) -> set[str]:
    assert code_of(answer) == (422, "validation_failed"), answer.text
    return {error["field"] for error in answer.json()["errors"]}


# Done


@pytest.mark.parametrize("kind", ["tip", "unlock", "call"])
async def test_charge_moves_tokens_and_says_what_is_left(
    fan: Buyer, luna: Buyer, owner: asyncpg.Connection[Any], kind: str
) -> None:
    earned = await luna.balance()
    assert await fan.tokens() == 10_000
    answer = await fan.charge("luna", 99, kind=kind, note="  for the song  ")
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"success", "charge", "balance"}
    charge = body["charge"]
    assert set(charge) == CHARGE
    assert charge["creator"] == {"id": LUNA, "username": "luna", "display_name": "Luna", "avatar_url": None}
    assert (charge["tokens"], charge["fee_tokens"], charge["kind"]) == (99, 19, kind)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", charge["created_at"])
    assert body["balance"] == await fan.balance(), "what was kept is dropped"
    assert body["balance"]["tokens"] == 9_901
    after = await luna.balance()
    assert after == earned | {"earnings_tokens": earned["earnings_tokens"] + 80}, "held: not available yet"
    row = await owner.fetchrow("SELECT * FROM charges WHERE id = $1", charge["id"])
    assert row is not None
    assert (row["note"], str(row["payer_id"]), str(row["creator_id"])) == ("for the song", fan.user_id, LUNA)


async def test_fee_is_a_fifth_rounded_down(fan: Buyer, luna: Buyer) -> None:
    for tokens, fee in ((1, 0), (4, 0), (5, 1), (9, 1), (10, 2), (101, 20), (9_861, 1_972)):
        before = (await luna.balance())["earnings_tokens"]
        charge = (await fan.charge("luna", tokens)).json()["charge"]
        assert (charge["tokens"], charge["fee_tokens"]) == (tokens, fee)
        assert (await luna.balance())["earnings_tokens"] - before == tokens - fee


async def test_all_that_there_is_can_be_spent_and_no_more(fan: Buyer) -> None:
    assert code_of(await fan.charge("luna", 10_001)) == (402, "insufficient_tokens")
    assert (await fan.charge("mika", 10_000)).json()["balance"]["tokens"] == 0
    assert code_of(await fan.charge("luna", 1)) == (402, "insufficient_tokens")
    assert code_of(await fan.charge("luna", 1_000_000)) == (402, "insufficient_tokens")
    assert await fan.tokens() == 0


async def test_creator_pays_another_with_tokens_and_not_with_earnings(poor: Buyer, luna: Buyer) -> None:
    assert (await poor.balance())["earnings_tokens"] > 5_000
    assert code_of(await poor.charge("luna", 1)) == (402, "insufficient_tokens")
    await poor.buy("t100")
    before = await luna.balance()
    answer = await poor.charge("luna", 50)
    assert answer.json()["balance"]["tokens"] == 50
    assert (await luna.balance())["earnings_tokens"] == before["earnings_tokens"] + 40


# Refused


async def test_who_is_no_creator_is_paid_nothing(fan: Buyer) -> None:
    for username in ("fan2", "nobody_here"):
        assert code_of(await fan.charge(username, 5)) == (404, "creator_not_found")
    assert await fan.tokens() == 10_000


async def test_creator_who_is_not_active_is_paid_nothing(fan: Buyer, owner: asyncpg.Connection[Any]) -> None:
    for status in ("suspended", "closed"):
        await owner.execute("UPDATE users SET status = $1 WHERE username = 'luna'", status)
        assert code_of(await fan.charge("luna", 5)) == (404, "creator_not_found")
    await owner.execute("UPDATE users SET status = 'active' WHERE username = 'luna'")
    assert (await fan.charge("luna", 5)).status_code == 201


async def test_nobody_pays_themselves(luna: Buyer, fan: Buyer) -> None:
    assert code_of(await luna.charge("luna", 5)) == (422, "self_charge")
    assert code_of(await luna.charge("luna", 1_000_000)) == (422, "self_charge"), "not 402: more would not help"
    assert code_of(await fan.charge("fan", 5)) == (422, "self_charge"), "not 404: there is somebody"


WRONG: dict[str, list[Any]] = {
    "tokens": [0, -1, 1_000_001, 10**30, True, False, 1.0, 1.5, "5", None, [], {}],
    "kind": ["gift", "TIP", "tip ", "", None, 1, True, ["tip"]],
    "creator_id": ["luna", "", None, 5, True, LUNA[:-1], f"{LUNA}0", f"{LUNA}\n", "é" * 36],
    "note": [
        *("n" * 501, "a\nb", "a\tb", "\x00", "\x7f", "a\x9f", 5, True, []),
        *("a\u202eb", "\u2066", "\u200f", "a\u2028b", "a\u2029b"),  # they turn or break the lines around them
    ],
}


@pytest.mark.parametrize("field", WRONG)
async def test_field_of_another_type_or_out_of_bounds_is_422(fan: Buyer, rest: RestServer, field: str) -> None:
    for value in WRONG[field]:
        assert _fields(await fan.post("charge", GOOD | {field: value})) == {f"body.{field}"}, value
        await forget_limits(rest)
    assert await fan.tokens() == 10_000


async def test_note_may_be_500_characters_of_any_language_or_none(fan: Buyer, owner: asyncpg.Connection[Any]) -> None:
    for note in ("\U0001f389" * 500, " " * 30 + "é" * 500, "", None, "שלום 你好 <b>&amp;"):
        answer = await fan.charge("luna", 5, note=note)
        assert answer.status_code == 201, note
        kept = await owner.fetchval("SELECT note FROM charges WHERE id = $1", answer.json()["charge"]["id"])
        assert kept == (note.strip() if note is not None else None)
        assert "note" not in answer.text


async def test_field_that_is_missing_is_named(fan: Buyer) -> None:
    for missing in GOOD:
        body = {name: value for name, value in GOOD.items() if name != missing}
        assert _fields(await fan.post("charge", body)) == {f"body.{missing}"}


async def test_every_field_that_is_wrong_is_named_and_nothing_is_quoted(fan: Buyer) -> None:
    answer = await fan.post("charge", {"creator_id": "secret", "tokens": "secret", "kind": "secret", "note": 1})
    assert _fields(answer) == {"body.creator_id", "body.tokens", "body.kind", "body.note"}
    assert "secret" not in answer.text


async def test_body_that_is_no_object_is_422(fan: Buyer) -> None:
    bodies: list[Any] = [[], "text", 5, True, [GOOD]]
    for body in bodies:
        assert _fields(await fan.post("charge", body)) == {"body"}


async def test_unknown_fields_are_ignored(fan: Buyer) -> None:
    more = {"fee_tokens": 0, "payer_id": LUNA, "user_id": LUNA, "created_at": "1970-01-01", "x" * 300: [1]}
    answer = await fan.post("charge", GOOD | more)
    assert (answer.status_code, answer.json()["charge"]["fee_tokens"]) == (201, 1)
    assert await fan.tokens() == 9_995


async def test_creator_id_may_be_written_in_capitals(fan: Buyer) -> None:
    answer = await fan.post("charge", GOOD | {"creator_id": LUNA.upper()})
    assert (answer.status_code, answer.json()["charge"]["creator"]["id"]) == (201, LUNA)


# The key


@pytest.mark.parametrize("path", ["charge", "tokens/purchase"])
async def test_without_a_key_it_is_400_and_with_one_that_is_none_422(fan: Buyer, rest: RestServer, path: str) -> None:
    body = GOOD if path == "charge" else {"package_id": "t100"}

    async def send(*values: bytes) -> httpx.Response:
        headers = [(b"x-session-id", fan.token.encode()), *((b"idempotency-key", value) for value in values)]
        return await fan.http.post(f"/payments/{path}", json=body, headers=headers)

    for answer in (await send(), await send(b"")):
        assert code_of(answer) == (400, "idempotency_key_missing")
    for wrong in (b"k" * 256, b"two words", b"caf\xe9", b"a\tb", "schlüssel".encode()):
        assert _fields(await send(wrong)) == {"header.idempotency-key"}
        await forget_limits(rest)
    for right in (b"k" * 255, b"!", bytes(range(0x21, 0x7F)), str(uuid4()).encode()):
        assert (await send(right)).status_code == 201


async def test_two_creators_are_two_charges_and_each_sees_their_own(fan: Buyer, new_buyer: NewBuyer) -> None:
    luna, nova = await new_buyer("luna"), await new_buyer("nova")
    for username, tokens in (("luna", 10), ("nova", 20)):
        assert (await fan.charge(username, tokens)).status_code == 201
    for creator, earned in ((luna, 8), (nova, 16)):
        newest = (await creator.get("history", limit=1)).json()["entries"][0]
        assert (newest["tokens"], newest["counterparty"]) == (earned, None), "a fan has no page to show"
