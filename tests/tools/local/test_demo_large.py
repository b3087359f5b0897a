"""The large demo data: whole, the same for everyone, as skewed as fame is, and loaded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from functions.payments.ledger import House
from tests.conftest import Services
from tests.functions.payments.audit import audit
from tests.functions.payments.conftest import fan, new_buyer  # noqa: F401 -- fixtures
from tests.functions.payments.people import Buyer
from tools.local import demo_large
from tools.local.demo import CREATORS, demo_id
from tools.local.demo_large import DemoRefused, load_large
from tools.local.stripe.server import FakeStripe
from tools.migrate.runner import migrate

pytestmark = pytest.mark.slow

Owner: TypeAlias = "asyncpg.Connection[Any]"

_CHARGES = """
    SELECT md5(string_agg(concat_ws(' ', g.id, g.transfer_id, g.payer_id, g.creator_id, g.kind, g.tokens, g.created_at,
                                    (SELECT string_agg(p.amount::text, ' ' ORDER BY p.amount) FROM ledger_postings p
                                      WHERE p.transfer_id = g.transfer_id)), ',' ORDER BY g.id))
      FROM charges g JOIN users u ON u.id = g.payer_id WHERE u.username LIKE 'demo\\_fan\\_%'
"""

_COUNT = "SELECT count(*) FROM charges g JOIN users u ON u.id = g.payer_id WHERE u.username LIKE 'demo\\_fan\\_%'"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_large, "_CHUNK", 300)


@pytest.fixture
def url(services: Services, database_name: str) -> str:
    return services.postgres.url(database_name, "owner")


@pytest.fixture
async def owner(url: str) -> AsyncIterator[Owner]:
    connection = await asyncpg.connect(url, timeout=5)
    yield connection
    await connection.close(timeout=5)


def _quiet(_done: int, _wanted: int) -> None:
    return


async def _count(owner: Owner) -> int:
    return int(await owner.fetchval(_COUNT))


async def _assert_whole(url: str, owner: Owner, stripe: FakeStripe) -> None:
    assert await audit(url, stripe) == []
    disabled = "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'O'"
    assert await owner.fetch(disabled) == []


async def test_what_is_loaded_is_right_and_is_loaded_once(url: str, owner: Owner, stripe: FakeStripe) -> None:
    seen: list[tuple[int, int]] = []
    assert await load_large(url, 3002, lambda *progress: seen.append(progress)) == 1000
    assert seen == [(0, 1000), (300, 1000), (600, 1000), (900, 1000), (1000, 1000)]
    assert await _count(owner) == 1000
    await _assert_whole(url, owner, stripe)
    before = await owner.fetchval(_CHARGES)
    assert await load_large(url, 3000, _quiet) == 0
    assert await load_large(url, 3, _quiet) == 0
    assert await owner.fetchval(_CHARGES) == before


async def test_more_is_what_all_at_once_would_have_been(
    url: str, owner: Owner, stripe: FakeStripe, services: Services
) -> None:
    for postings, new in ((3, 1), (1200, 399), (2100, 300)):
        assert await load_large(url, postings, _quiet) == new
    await _assert_whole(url, owner, stripe)
    in_steps = await owner.fetchval(_CHARGES)
    await services.postgres.create_database("demo_at_once", template="digis_template")
    other = services.postgres.url("demo_at_once", "owner")
    try:
        assert await load_large(other, 2100, _quiet) == 700
        connection = await asyncpg.connect(other, timeout=5)
        assert await connection.fetchval(_CHARGES) == in_steps
        await connection.close(timeout=5)
    finally:
        await services.postgres.drop_database("demo_at_once")


async def test_it_is_skewed_spread_over_a_year_and_of_many_fans(url: str, owner: Owner) -> None:
    await load_large(url, 9000, _quiet)
    of_creator = f"{_COUNT} AND g.creator_id = $1"
    first, last = [await owner.fetchval(of_creator, demo_id(CREATORS[n])) for n in (0, -1)]
    assert first > 10 * last > 0
    days = await owner.fetchrow(
        """SELECT min(g.created_at) >= date_trunc('day', now(), 'UTC') - interval '365 days' AS is_late_enough,
                  max(g.created_at) < date_trunc('day', now(), 'UTC') AS is_over,
                  count(DISTINCT date_trunc('day', g.created_at, 'UTC')) AS days,
                  count(DISTINCT g.payer_id) AS fans
             FROM charges g JOIN users u ON u.id = g.payer_id WHERE u.username LIKE 'demo\\_fan\\_%'"""
    )
    assert days is not None
    assert days["is_late_enough"]
    assert days["is_over"]
    assert days["days"] > 360
    assert days["fans"] > 500


async def test_what_the_demo_promises_is_still_so(url: str, fan: Buyer) -> None:  # noqa: F811 -- a fixture
    await load_large(url, 3000, _quiet)
    assert (await fan.balance())["tokens"] == 10_000


async def test_charges_go_on_meanwhile(url: str, owner: Owner, fan: Buyer, stripe: FakeStripe) -> None:  # noqa: F811
    loading = asyncio.create_task(load_large(url, 9000, _quiet))
    for number in range(8):
        answer = await fan.charge(CREATORS[number % 2], 10)
        assert answer.status_code == 201, answer.text
    assert await loading == 3000
    await _assert_whole(url, owner, stripe)


async def test_two_at_once_load_it_once(url: str, owner: Owner, stripe: FakeStripe) -> None:
    found = await asyncio.gather(*(load_large(url, 3000, _quiet) for _ in range(2)))
    assert await _count(owner) == 1000
    assert max(found) == 1000
    await _assert_whole(url, owner, stripe)


async def test_chunks_that_are_loaded_when_it_is_stopped_are_whole(url: str, owner: Owner, stripe: FakeStripe) -> None:
    def stop(done: int, _wanted: int) -> None:
        if done == 300:
            loading.cancel()

    loading = asyncio.create_task(load_large(url, 9000, stop))
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert await _count(owner) == 300
    await _assert_whole(url, owner, stripe)
    assert await load_large(url, 1500, _quiet) == 200


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fee_of", lambda tokens: Odd(tokens // 5), "2 transfers do not sum to zero"),
        ("House", type("House", (), {"ISSUED": House.ISSUED, "FEE": House.REVENUE}), "1 accounts are not of tokens"),
    ],
)
async def test_what_the_triggers_would_have_refused_is_refused_with_its_chunk(
    url: str, owner: Owner, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, said: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(demo_large, name, value)
        with pytest.raises(DemoRefused, match=said):
            await load_large(url, 6, _quiet)
    assert await _count(owner) == 0
    await _assert_whole(url, owner, stripe)


class Odd(int):
    """A fee that is one less where it is taken off."""

    def __rsub__(self, other: int) -> int:
        return other - int(self) + 1


async def test_without_the_demos_people_it_is_refused(services: Services, owner: Owner, url: str) -> None:
    await services.postgres.create_database("demo_without")
    bare = services.postgres.url("demo_without", "owner")
    try:
        await migrate(bare)
        with pytest.raises(DemoRefused, match="creators are not there"):
            await load_large(bare, 3, _quiet)
    finally:
        await services.postgres.drop_database("demo_without")
    await owner.execute(
        """INSERT INTO users (username, email, display_name)
           SELECT 'demo_fan_' || lpad(n::text, 5, '0'), n || '@taken.test', 'Taken' FROM generate_series(0, 20000) n"""
    )
    with pytest.raises(DemoRefused, match="somebody else has the name"):
        await load_large(url, 3, _quiet)
