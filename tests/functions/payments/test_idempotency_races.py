"""Many at once under one key: one effect, one answer; the others are told to come back, or given that answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from functions.payments import charges, purchases
from functions.payments.schemas import ChargeIn, PurchaseIn
from shared.http.problems import IdempotencyKeyReused, Problem, RequestInFlight
from shared.postgres import pool
from shared.postgres.idempotency import Answer
from tests.functions.payments.people import Buyer, code_of
from tools.local.demo import demo_id
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

TIP = ChargeIn(creator_id=demo_id("luna"), tokens=5, kind="tip")
T100 = PurchaseIn(package_id="t100")
MANY = 100

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred wait for four connections: on a machine that is busy too, none of them shall give up."""
    monkeypatch.setattr(pool, "TRANSACTION_SECONDS", 60.0)


async def _at_once(act: Callable[[], Awaitable[Answer]], count: int = MANY) -> list[Answer]:
    """The answers; those who have none were told that it is being worked on, and when to ask again."""
    done = await asyncio.gather(*(act() for _ in range(count)), return_exceptions=True)
    answers = [one for one in done if isinstance(one, Answer)]
    for refused in done:
        if not isinstance(refused, Answer):
            assert isinstance(refused, RequestInFlight), refused
            assert 1 <= int(refused.headers["Retry-After"]) <= purchases.CLAIM_SECONDS
    return answers


async def test_100_charges_at_once_under_one_key_are_one(fan: Buyer, owner: asyncpg.Connection[Any]) -> None:
    answers = await _at_once(lambda: charges.charge(fan.user_id, TIP, "key"))
    assert len(set(answers)) == 1
    assert answers[0].status == 201
    assert await charges.charge(fan.user_id, TIP, "key") == answers[0]
    with pytest.raises(IdempotencyKeyReused):
        await charges.charge(fan.user_id, TIP.model_copy(update={"tokens": 6}), "key")
    assert await owner.fetchval("SELECT count(*) FROM charges WHERE created_at > now() - interval '5 minutes'") == 1
    assert await fan.tokens() == 9_995
    over_http = await fan.charge("luna", 5, "key")
    assert (over_http.content.decode(), over_http.headers["idempotency-replayed"]) == (answers[0].body, "true")


async def test_100_refusals_at_once_under_one_key_are_one(fan: Buyer, owner: asyncpg.Connection[Any]) -> None:
    wanted = TIP.model_copy(update={"tokens": 10_001})
    answers = await _at_once(lambda: charges.charge(fan.user_id, wanted, "key"))
    assert set(answers) == {Answer(402, "insufficient_tokens")}
    assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == 1


async def test_100_charges_under_keys_of_their_own_spend_what_there_is_and_no_more(
    fan: Buyer, owner: asyncpg.Connection[Any]
) -> None:
    wanted = TIP.model_copy(update={"tokens": 300})
    keys = iter(range(MANY))
    answers = await _at_once(lambda: charges.charge(fan.user_id, wanted, f"key-{next(keys)}"))
    assert Counter(answer.status for answer in answers) == {201: 33, 402: 67}
    assert await fan.tokens() == 100
    assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == MANY


async def test_100_purchases_at_once_under_one_key_are_one(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    answers = await _at_once(lambda: purchases.purchase(fan.user_id, T100, "key"))
    assert len(set(answers)) == 1
    assert await purchases.purchase(fan.user_id, T100, "key") == answers[0]
    with pytest.raises(IdempotencyKeyReused):
        await purchases.purchase(fan.user_id, PurchaseIn(package_id="t500"), "key")
    assert await owner.fetchval("SELECT count(*) FROM purchases") == 1
    assert len(stripe.payment_intents) == 1
    assert len([one for one in stripe.seen if one.method == "POST"]) == 1
    over_http = await fan.purchase("t100", "key")
    assert (over_http.content.decode(), over_http.headers["idempotency-replayed"]) == (answers[0].body, "true")


@pytest.mark.parametrize("path", ["charge", "tokens/purchase"])
async def test_ten_posts_at_once_under_one_key_are_one(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any], path: str
) -> None:
    body = TIP.model_dump(mode="json") if path == "charge" else T100.model_dump(mode="json")
    answers = await asyncio.gather(*(fan.post(path, body, "key") for _ in range(9)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in done}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1, "the one that did it"
    for answer in answers:
        if answer.status_code != 201:
            assert code_of(answer) == (409, "request_in_flight")
            assert int(answer.headers["retry-after"]) >= 1
            assert "idempotency-replayed" not in answer.headers
    again = await fan.post(path, body, "key")
    assert (again.content, again.headers["idempotency-replayed"]) == (done[0].content, "true")
    assert len(stripe.payment_intents) == (path != "charge")
    assert await fan.tokens() == (9_995 if path == "charge" else 10_000)


async def test_charge_whose_key_is_being_worked_on_is_409_with_another_body_too(
    fan: Buyer, owner: asyncpg.Connection[Any]
) -> None:
    lock = "pg_advisory_lock(hashtextextended($1, 0))"
    name = f"{fan.user_id}/charge/key"
    await owner.fetchval(f"SELECT {lock}", name)
    for tokens in (5, 6):
        answer = await fan.charge("luna", tokens, "key")
        assert (code_of(answer), answer.headers["retry-after"]) == ((409, "request_in_flight"), "1")
    assert (await fan.charge("luna", 5, "another")).status_code == 201
    assert (await fan.purchase("t100", "key")).status_code == 201, "another route"
    await owner.fetchval(f"SELECT {lock.replace('lock(', 'unlock(')}", name)
    assert (await fan.charge("luna", 6, "key")).status_code == 201, "409 was not recorded"


async def test_purchase_that_waits_for_stripe_is_in_flight_and_then_answered(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await stripe.faults.set(Mode.SLOW, count=1, only="POST")
    stripe.faults.slow_seconds = 60
    first = asyncio.create_task(fan.purchase("t100", "key"))
    await stripe.faults.caught()
    (row,) = await owner.fetch("SELECT * FROM purchases")
    assert (row["status"], row["payment_intent_id"]) == ("pending", None), "committed before Stripe is asked"
    answer = await fan.purchase("t100", "key")
    assert code_of(answer) == (409, "request_in_flight")
    assert 1 <= int(answer.headers["retry-after"]) <= purchases.CLAIM_SECONDS
    assert code_of(await fan.purchase("t500", "key")) == (422, "idempotency_key_reused")
    shown = (await fan.get(f"purchases/{row['id']}")).json()["purchase"]
    assert (shown["status"], shown["client_secret"]) == ("pending", None)
    await stripe.faults.set(Mode.OK)
    assert (await first).status_code == 201
    again = await fan.purchase("t100", "key")
    assert (again.content, again.headers["idempotency-replayed"]) == ((await first).content, "true")


async def _stall(fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]) -> asyncio.Task[Answer]:
    """A purchase under `key` whose process waits for Stripe beyond the time of its claim."""
    await stripe.faults.set(Mode.HANG, count=1)
    stalled = asyncio.create_task(purchases.purchase(fan.user_id, T100, "key"))
    await stripe.faults.caught()
    await owner.execute("UPDATE idempotency_keys SET claimed_until = clock_timestamp() - interval '1 ms'")
    return stalled


async def test_claim_that_has_run_out_is_taken_over_with_the_same_purchase(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    stalled = await _stall(fan, stripe, owner)
    answer = await fan.purchase("t100", "key")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)
    (row,) = await owner.fetch("SELECT * FROM purchases")
    assert answer.json()["purchase"]["id"] == str(row["id"])
    await stripe.faults.set(Mode.OK)  # the stalled one finds its connection closed
    with pytest.raises(Problem) as raised:
        await stalled
    assert raised.value.code == "payment_provider_unavailable"
    assert (await fan.purchase("t100", "key")).content == answer.content, "who gave up late takes nothing back"
    assert len(stripe.payment_intents) == 1


async def test_two_who_take_over_at_once_make_one_payment(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    stalled = await _stall(fan, stripe, owner)
    answers = await _at_once(lambda: purchases.purchase(fan.user_id, T100, "key"), 2)
    assert len(set(answers)) == 1
    assert await owner.fetchval("SELECT count(*) FROM purchases") == 1
    assert len(stripe.payment_intents) == 1
    await stripe.faults.set(Mode.OK)
    await asyncio.gather(stalled, return_exceptions=True)


async def test_two_at_work_on_one_purchase_agree_on_its_payment(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    """The stalled one was only slow: both are answered, and with the same."""
    await stripe.faults.set(Mode.SLOW, count=1)
    stripe.faults.slow_seconds = 60
    slow = asyncio.create_task(purchases.purchase(fan.user_id, T100, "key"))
    await stripe.faults.caught()
    await owner.execute("UPDATE idempotency_keys SET claimed_until = clock_timestamp() - interval '1 ms'")
    with pytest.raises(Problem) as raised:  # Stripe: its own key is in use
        await purchases.purchase(fan.user_id, T100, "key")
    assert raised.value.code == "payment_provider_unavailable"
    await stripe.faults.set(Mode.OK)
    answer = await slow
    assert await purchases.purchase(fan.user_id, T100, "key") == answer
    purchase_id = await owner.fetchval("SELECT id FROM purchases")
    assert {one.idempotency_key for one in stripe.seen} - {None} == {f"purchase:{purchase_id}"}
    assert len(stripe.payment_intents) == 1
