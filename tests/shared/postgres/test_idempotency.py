"""Idempotency keys in Postgres: claimed, held, given up, recorded; by one at a time, and for thirty days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import BaseModel

from shared import telemetry
from shared.http.problems import IdempotencyKeyReused, RequestInFlight
from shared.postgres import idempotency
from shared.postgres.idempotency import Answer, Claim, Operation
from shared.postgres.pool import Database
from tests.conftest import Services
from tools.local.demo import demo_id

USER = str(demo_id("fan"))
DONE = Answer(201, '{"done":true}')


class Body(BaseModel):
    tokens: int = 5
    note: str | None = None


def _operation(key: str = "key", *, route: str = "route", user: str = USER, tokens: int = 5) -> Operation:
    return Operation.of(user, route, key, Body(tokens=tokens))


@pytest.fixture
async def db(services: Services, database_name: str, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    database = Database(services.postgres.url(database_name))
    yield database
    await database.close()


@pytest.fixture
async def owner(services: Services, database_name: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(services.postgres.url(database_name, "owner"))
    yield connection
    await connection.close()


async def _claim(db: Database, operation: Operation) -> Claim:
    async with db.transaction() as transaction:
        return await idempotency.claim(transaction, operation)


async def _record(db: Database, operation: Operation, answer: Answer = DONE) -> None:
    async with db.transaction() as transaction:
        await idempotency.claim(transaction, operation)
        await idempotency.record(transaction, operation, answer)


async def _hold(db: Database, operation: Operation, subject: str, seconds: float = 20) -> None:
    async with db.transaction() as transaction:
        await idempotency.claim(transaction, operation)
        await idempotency.hold(transaction, operation, subject, seconds=seconds)


async def test_first_claim_finds_nothing_and_writes_nothing(db: Database, owner: asyncpg.Connection[Any]) -> None:
    assert await _claim(db, _operation()) == Claim()
    assert await _claim(db, _operation(tokens=6)) == Claim(), "another body: nothing was recorded of the first"
    assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.parametrize(
    "answer", [DONE, Answer(402, "insufficient_tokens"), Answer(422, ""), Answer(200, "é\n" * 999)]
)
async def test_recorded_answer_is_every_later_claims(db: Database, answer: Answer) -> None:
    await _record(db, _operation(), answer)
    for _ in range(2):
        assert await _claim(db, _operation()) == Claim(answer)


async def test_record_of_a_transaction_that_is_rolled_back_is_none(db: Database) -> None:
    async def fail() -> None:
        async with db.transaction() as transaction:
            await idempotency.record(transaction, _operation(), DONE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await _claim(db, _operation()) == Claim()


async def test_another_body_under_a_known_key_is_refused(db: Database) -> None:
    await _record(db, _operation())
    await _hold(db, _operation("held"), str(uuid4()))
    for key in ("key", "held"):
        with pytest.raises(IdempotencyKeyReused):
            await _claim(db, _operation(key, tokens=6))


async def test_key_is_of_its_user_and_route_and_to_the_letter(db: Database) -> None:
    await _record(db, _operation())
    for other in (
        *(_operation("Key"), _operation("key/"), _operation("ke"), _operation("k" * 255)),
        *(_operation(route="other", tokens=6), _operation(user=str(demo_id("luna")), tokens=6)),
    ):
        assert await _claim(db, other) == Claim()


async def test_body_counts_as_it_was_understood() -> None:
    assert Operation.of(USER, "r", "k", Body(tokens=5)) == Operation.of(USER, "r", "k", Body(tokens=5, note=None))
    assert Operation.of(USER, "r", "k", Body(note="")) != Operation.of(USER, "r", "k", Body())


async def test_second_claim_is_in_flight_while_the_first_is_at_work(db: Database) -> None:
    async with db.transaction() as first:
        await idempotency.claim(first, _operation())
        for tokens in (5, 6):
            with pytest.raises(RequestInFlight) as raised:
                await _claim(db, _operation(tokens=tokens))
            assert raised.value.headers["Retry-After"] == "1"
        assert await _claim(db, _operation("another")) == Claim()
        await idempotency.record(first, _operation(), DONE)
        with pytest.raises(RequestInFlight):
            await _claim(db, _operation())
    assert await _claim(db, _operation()) == Claim(DONE)


async def test_what_was_answered_is_answered_again_while_another_has_the_claim(db: Database) -> None:
    async with db.transaction() as transaction:
        await idempotency.claim(transaction, _operation())
        await idempotency.record(transaction, _operation(), DONE)
    async with db.transaction() as another:
        assert await idempotency.claim(another, _operation()) == Claim(DONE)
        assert await _claim(db, _operation()) == Claim(DONE)
        with pytest.raises(IdempotencyKeyReused):
            await _claim(db, _operation(tokens=6))


async def test_of_many_claims_at_once_one_is_ours_and_nobody_waits(db: Database) -> None:
    together, all_refused = asyncio.Barrier(4), asyncio.Event()
    refused: list[RequestInFlight] = []

    async def one() -> bool:
        async with db.transaction() as transaction:
            await together.wait()
            try:
                await idempotency.claim(transaction, _operation())
            except RequestInFlight as error:
                refused.append(error)
                if len(refused) == 3:
                    all_refused.set()
                return False
            await all_refused.wait()
            return True

    assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == [False, False, False, True]


async def test_held_claim_is_in_flight_for_its_time_and_then_goes_on_with_its_subject(
    db: Database, owner: asyncpg.Connection[Any]
) -> None:
    subject = str(uuid4())
    await _hold(db, _operation(), subject)
    with pytest.raises(RequestInFlight) as raised:
        await _claim(db, _operation())
    assert raised.value.headers["Retry-After"] == "1", (
        "it is seldom the whole time: whoever works on it is mostly quick"
    )
    await owner.execute("UPDATE idempotency_keys SET claimed_until = clock_timestamp()")
    assert await _claim(db, _operation()) == Claim(subject=subject)
    await _hold(db, _operation(), subject)
    with pytest.raises(RequestInFlight):
        await _claim(db, _operation())
    async with db.transaction() as transaction:
        await idempotency.record(transaction, _operation(), DONE)
    assert await _claim(db, _operation()) == Claim(DONE)
    assert str(await owner.fetchval("SELECT subject FROM idempotency_keys")) == subject


async def test_claim_that_was_given_up_is_taken_at_once(db: Database) -> None:
    subject = str(uuid4())
    await _hold(db, _operation(), subject)
    async with db.transaction() as transaction:
        await idempotency.give_up(transaction, _operation())
    assert await _claim(db, _operation()) == Claim(subject=subject)


async def test_giving_up_late_takes_nothing_back_from_an_answer(db: Database) -> None:
    await _record(db, _operation())
    async with db.transaction() as transaction:
        await idempotency.give_up(transaction, _operation())
        await idempotency.give_up(transaction, _operation("unknown"))
    assert await _claim(db, _operation()) == Claim(DONE)


@pytest.mark.parametrize("age", ["30 days 1 minute", "400 days"])
async def test_key_past_its_30_days_is_as_new(db: Database, owner: asyncpg.Connection[Any], age: str) -> None:
    aging = "UPDATE idempotency_keys SET created_at = now() - $1::text::interval"
    await _record(db, _operation())
    await owner.execute(aging, "29 days 23 hours")
    assert await _claim(db, _operation()) == Claim(DONE)
    await owner.execute(aging, age)
    assert await _claim(db, _operation(tokens=6)) == Claim()

    subject = str(uuid4())
    await _hold(db, _operation(tokens=6), subject)
    with pytest.raises(RequestInFlight):
        await _claim(db, _operation(tokens=6))
    async with db.transaction() as transaction:
        await idempotency.give_up(transaction, _operation(tokens=6))
    assert await _claim(db, _operation(tokens=6)) == Claim(subject=subject)
    await _record(db, _operation(tokens=6), Answer(402, "insufficient_tokens"))
    assert await _claim(db, _operation(tokens=6)) == Claim(Answer(402, "insufficient_tokens"))


async def test_only_a_repeat_is_said_to_be_one(db: Database) -> None:
    record = telemetry.RequestRecord("id", "POST", "/")
    telemetry.begin(record)
    await _record(db, _operation())
    assert record.headers == {}
    await _claim(db, _operation())
    assert record.headers == {"Idempotency-Replayed": "true"}
