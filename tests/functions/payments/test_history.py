"""The history: everything that moved somebody's tokens, once, the latest first, page by page."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from shared.http.cursors import MOST, Cursor
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.people import Buyer, code_of
from tools.local.demo import demo_id
from tools.local.stripe.server import FakeStripe

ENTRY = {"id", "kind", "tokens", "counterparty", "created_at"}
PARTY = {"id", "username", "display_name", "avatar_url"}


async def _walk(buyer: Buyer, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await buyer.get("history", limit=limit, **cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert set(page) == {"success", "entries", "next_cursor"}
        assert 0 < len(page["entries"]) <= limit
        found += page["entries"]
        if page["next_cursor"] is None:
            return found
        assert len(page["entries"]) == limit
        assert re.fullmatch(r"[A-Za-z0-9_-]+", page["next_cursor"])
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [7, 100])
async def test_pages_show_everything_once_the_latest_first(fan: Buyer, owner_url: str, limit: int) -> None:
    found = await _walk(fan, limit)
    connection = await asyncpg.connect(owner_url)
    sql = (
        """SELECT count(*) FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id WHERE a.user_id = $1"""
    )
    expected = await connection.fetchval(sql, demo_id("fan"))
    await connection.close()
    assert len(found) == len({entry["id"] for entry in found}) == expected > 600
    moments = [datetime.fromisoformat(entry["created_at"]) for entry in found]
    assert moments == sorted(moments, reverse=True)
    assert sum(entry["tokens"] for entry in found) == await fan.tokens()
    for entry in found:
        assert set(entry) == ENTRY
        assert type(entry["tokens"]) is int
        if entry["kind"] != "grant":
            assert set(entry["counterparty"]) == PARTY
            assert entry["tokens"] < 0
    assert {entry["kind"] for entry in found} == {"grant", "tip", "unlock", "call"}
    grants = [entry for entry in found if entry["kind"] == "grant"]
    assert grants == found[-1:]
    assert grants[0]["counterparty"] is None


async def test_page_is_of_24_where_nothing_else_is_asked_for(fan: Buyer) -> None:
    page = (await fan.get("history")).json()
    assert len(page["entries"]) == 24
    whole = (await fan.get("history", limit=100)).json()["entries"]
    assert whole[:24] == page["entries"]
    rest = (await fan.get("history", limit=76, cursor=page["next_cursor"])).json()["entries"]
    assert page["entries"] + rest == whole, "the limit may change on the way"


async def test_what_comes_in_meanwhile_is_neither_shown_again_nor_leaves_a_gap(fan: Buyer) -> None:
    before = (await fan.get("history", limit=20)).json()["entries"]
    page = (await fan.get("history", limit=10)).json()
    for _ in range(3):
        assert (await fan.charge("luna", 5)).status_code == 201
    following = (await fan.get("history", limit=10, cursor=page["next_cursor"])).json()
    assert page["entries"] + following["entries"] == before
    newest = (await fan.get("history", limit=23)).json()["entries"]
    assert newest[3:] == before
    assert {(entry["kind"], entry["tokens"]) for entry in newest[:3]} == {("tip", -5)}


async def test_last_page_that_is_just_full_is_the_last(poor: Buyer) -> None:
    count = len(await _walk(poor, 100))
    assert 1 < count < 100
    for limit, is_last in ((count, True), (count - 1, False), (count + 1, True)):
        page = (await poor.get("history", limit=limit)).json()
        assert (page["next_cursor"] is None) is is_last


async def test_many_of_one_moment_are_told_apart_by_their_ids(fan: Buyer, owner_url: str) -> None:
    connection = await asyncpg.connect(owner_url)
    async with connection.transaction():  # now() is the same for all of them
        fan_account, luna_account = [
            await connection.fetchval("SELECT id FROM ledger_accounts WHERE user_id = $1 AND kind = $2", demo_id(n), k)
            for n, k in (("fan", "wallet"), ("luna", "earnings"))
        ]
        for _ in range(9):
            transfer = await connection.fetchval("INSERT INTO ledger_transfers (kind) VALUES ('call') RETURNING id")
            await connection.execute(
                "INSERT INTO ledger_postings (transfer_id, account_id, amount) VALUES ($1, $2, -1), ($1, $3, 1)",
                *(transfer, fan_account, luna_account),
            )
    await connection.close()
    whole = (await fan.get("history", limit=9)).json()["entries"]
    assert len({entry["created_at"] for entry in whole}) == 1
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(5):
        page = (await fan.get("history", limit=2, **cursor)).json()
        found += page["entries"]
        cursor = {"cursor": page["next_cursor"]}
    assert found[:9] == whole


async def test_creator_sees_what_they_earn_and_who_paid_if_that_is_a_creator(luna: Buyer, poor: Buyer) -> None:
    await poor.buy("t100")
    await poor.charge("luna", 50, kind="unlock")
    got, first = (await luna.get("history", limit=2)).json()["entries"]
    mika = {"id": poor.user_id, "username": "mika", "display_name": "Mika", "avatar_url": None}
    assert (got["kind"], got["tokens"], got["counterparty"]) == ("unlock", 40, mika)
    assert first["counterparty"] is None, "a fan"
    paid, bought = (await poor.get("history", limit=2)).json()["entries"]
    assert (paid["id"], paid["created_at"]) == (got["id"], got["created_at"])
    assert (paid["kind"], paid["tokens"], paid["counterparty"]["username"]) == ("unlock", -50, "luna")
    assert (bought["kind"], bought["tokens"], bought["counterparty"]) == ("purchase", 100, None)


async def test_creator_who_is_not_active_is_not_named(fan: Buyer, owner_url: str) -> None:
    await fan.charge("luna", 5)
    connection = await asyncpg.connect(owner_url)
    await connection.execute("UPDATE users SET status = 'closed' WHERE username = 'luna'")
    await connection.close()
    entry = (await fan.get("history", limit=1)).json()["entries"][0]
    assert (entry["kind"], entry["tokens"], entry["counterparty"]) == ("tip", -5, None)


async def test_what_is_taken_back_is_one_entry_whatever_accounts_it_came_from(fan: Buyer, stripe: FakeStripe) -> None:
    made = await fan.buy("t500")
    await fan.charge("luna", 10_300)
    stripe.refund(made["payment_intent"])
    await stripe.delivered()
    refund, charge, purchase = (await fan.get("history", limit=3)).json()["entries"]
    assert (refund["kind"], refund["tokens"], refund["counterparty"]) == ("refund", -500, None), "200 and 300 owed"
    assert (charge["kind"], charge["tokens"]) == ("tip", -10_300)
    assert (purchase["kind"], purchase["tokens"]) == ("purchase", 500)
    assert await fan.tokens() == -300
    await fan.buy("t500")
    repaid = (await fan.get("history", limit=1)).json()["entries"][0]
    assert (repaid["kind"], repaid["tokens"], await fan.tokens()) == ("purchase", 500, 200)


async def test_nobody_sees_what_is_others(fan: Buyer, new_buyer: NewBuyer) -> None:
    other = await new_buyer("fan2")
    await fan.charge("luna", 5)
    cursor = (await fan.get("history", limit=5)).json()["next_cursor"]
    mine = {entry["id"] for entry in await _walk(fan, 100)}
    assert not mine & {entry["id"] for entry in await _walk(other, 100)}
    after = (await other.get("history", cursor=cursor)).json()["entries"]
    assert not mine & {entry["id"] for entry in after}, "another's cursor is a place in time, no more"


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


_NOT_GIVEN_OUT = [
    *("", "x", "null", "0", "é", "a" * 5000, "a b", "%00", "\x00", "=", "====", "[]"),
    *(_encoded(text) for text in ("", "[]", "null", '["entries"]', '["entries",1]', "{}", '["entries",-1,"x"]')),
    _encoded(f'["entries",-1,"{uuid4()}"]'),
    _encoded(f'["entries",{MOST + 1},"{uuid4()}"]'),
    _encoded(f'["entries","1","{uuid4()}"]'),
    _encoded(f'["entries", 1, "{uuid4()}"]'),  # another writing of a place
    _encoded(f'["entries",1,"{uuid4()}",1]'),
    Cursor("followers", 1, uuid4()).encode(),
    Cursor("entries", 1, uuid4()).encode() + "=",
    Cursor("entries", 1, uuid4()).encode() + "\n",
]


async def test_cursor_that_was_not_given_out_is_400(fan: Buyer) -> None:
    for cursor in _NOT_GIVEN_OUT:
        answer = await fan.get("history", cursor=cursor)
        assert code_of(answer) == (400, "invalid_cursor"), cursor
        assert 'queries;desc="0"' in answer.headers["server-timing"]


async def test_cursor_at_either_end_of_time_is_a_place(fan: Buyer) -> None:
    for value, count in ((0, 0), (MOST, 24)):
        answer = await fan.get("history", cursor=Cursor("entries", value, uuid4()).encode())
        assert (answer.status_code, len(answer.json()["entries"])) == (200, count)


async def test_limit_that_is_none_is_422(fan: Buyer) -> None:
    for limit in ("0", "101", "-1", "1.5", "1e1", "+5", "1_0", "many", "", " 5", "9" * 5000):
        answer = await fan.get("history", limit=limit)
        assert code_of(answer) == (422, "validation_failed"), limit
        assert [error["field"] for error in answer.json()["errors"]] == ["query.limit"]
