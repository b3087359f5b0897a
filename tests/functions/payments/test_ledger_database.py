"""What the database itself does not let through, whoever has a mistake in their SQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from functions.payments.ledger import House, Kind
from shared.http.problems import AccountInactive
from tests.conftest import Services
from tests.functions.payments.world import World, world_of

Connection: TypeAlias = "asyncpg.Connection[Any]"
GIVE_UP_SECONDS = 20

# As the functions' role: what it has no right to.
NO_RIGHT = (
    *("UPDATE ledger_postings SET created_at = now()", "UPDATE ledger_transfers SET created_at = now()"),
    *("UPDATE ledger_postings SET amount = 1", "UPDATE ledger_transfers SET kind = 'grant'"),
    *("DELETE FROM ledger_postings", "DELETE FROM ledger_transfers", "DELETE FROM ledger_accounts"),
    *("TRUNCATE ledger_postings", "TRUNCATE ledger_transfers CASCADE", "TRUNCATE ledger_accounts CASCADE"),
    *("UPDATE ledger_accounts SET balance = 1000000", "UPDATE ledger_accounts SET user_id = NULL"),
    "INSERT INTO ledger_accounts (kind, user_id, balance) SELECT 'wallet', id, 1000000 FROM users",
    "INSERT INTO ledger_accounts (kind, user_id) SELECT 'owed', id FROM users",
    "SELECT FROM ledger_accounts FOR UPDATE",
    "INSERT INTO ledger_transfers (kind, created_at) VALUES ('tip', now() - interval '30 days')",
    """INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
       SELECT id, 1, 1, now() - interval '30 days' FROM ledger_transfers LIMIT 1""",
    *(
        "ALTER TABLE ledger_postings DISABLE TRIGGER ALL",
        "DROP TRIGGER ledger_transfers_sum_to_zero ON ledger_postings",
    ),
    "SET session_replication_role = replica",
    *("UPDATE purchases SET tokens = 1000000", "UPDATE purchases SET price_cents = 1", "DELETE FROM purchases"),
    *("UPDATE purchase_movements SET cents = 1", "DELETE FROM purchase_movements"),
    *("UPDATE charges SET tokens = 1", "UPDATE charges SET fee_tokens = 0", "DELETE FROM charges"),
    "UPDATE stripe_events SET outcome = 'ignored'",
)
# As the owner: what the triggers refuse.
NEVER_CHANGES = (
    *("UPDATE ledger_postings SET amount = amount", "UPDATE ledger_transfers SET kind = 'grant'"),
    *("UPDATE ledger_postings SET amount = 1 WHERE false", "DELETE FROM ledger_postings WHERE account_id = 1"),
    *("DELETE FROM ledger_transfers WHERE false", "DELETE FROM ledger_postings", "DELETE FROM ledger_transfers"),
    *("TRUNCATE ledger_postings", "TRUNCATE ledger_transfers CASCADE"),
    *("TRUNCATE ledger_accounts CASCADE", "TRUNCATE users CASCADE"),
)


@pytest.fixture
async def app(services: Services, database_name: str) -> AsyncIterator[Connection]:
    """As the functions connect."""
    connection = await asyncpg.connect(services.postgres.url(database_name, "app"), timeout=5)
    yield connection
    await connection.close(timeout=5)


async def _post(connection: Connection, *postings: tuple[int, int]) -> None:
    """A transfer, in a transaction of its own."""
    async with connection.transaction():
        transfer = await connection.fetchval("INSERT INTO ledger_transfers (kind) VALUES ('tip') RETURNING id")
        await connection.execute(
            """INSERT INTO ledger_postings (transfer_id, account_id, amount)
               SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])""",
            *(transfer, [account for account, _ in postings], [amount for _, amount in postings]),
        )


async def test_functions_have_no_right_when_they_would_change_what_is_booked(app: Connection) -> None:
    for sql in NO_RIGHT:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(sql)


async def test_not_even_the_owner_changes_what_is_booked(world: World) -> None:
    before = await world.ledger()
    for sql in NEVER_CHANGES:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only added to"):
            await world.owner.execute(sql)
    assert await world.ledger() == before


async def test_transfer_is_refused_at_the_commit_when_it_does_not_sum_to_zero(world: World, app: Connection) -> None:
    fan = await world.person(tokens=10)
    wallet, before = await world.account(fan, Kind.WALLET), await world.ledger()
    for postings in (
        [(wallet, 5)],
        [(wallet, 5), (House.ISSUED, -4)],
        [(wallet, 5), (House.STRIPE, -5)],  # of different units
        [(wallet, 5), (House.ISSUED, -5), (House.STRIPE, 1)],
        [(House.STRIPE, 100), (House.LOSS, -99)],
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="does not sum to zero"):
            await _post(app, *((int(account), amount) for account, amount in postings))
    assert (await world.ledger(), await world.tokens(fan)) == (before, (10, 0))


async def test_transfer_is_looked_at_when_it_is_whole(world: World, app: Connection) -> None:
    """Statement by statement it does not sum to zero; at the commit it does."""
    fan, creator = await world.person(tokens=10), await world.person(creator=True)
    wallet, earnings = await world.account(fan, Kind.WALLET), await world.account(creator, Kind.EARNINGS)
    add = "INSERT INTO ledger_postings (transfer_id, account_id, amount) VALUES ($1, $2, $3)"
    async with app.transaction():
        transfer = await app.fetchval("INSERT INTO ledger_transfers (kind) VALUES ('tip') RETURNING id")
        await app.execute(add, transfer, wallet, -10)
        await app.execute(add, transfer, earnings, 10)
    assert await world.tokens(fan) == (0, 0)


async def test_transfer_is_refused_when_somebody_would_have_less_than_nothing(world: World, app: Connection) -> None:
    fan, creator = await world.person(tokens=10), await world.person(creator=True)
    wallet, owed = await world.account(fan, Kind.WALLET), await world.account(fan, Kind.OWED)
    earnings = await world.account(creator, Kind.EARNINGS)
    transit = await world.account(creator, Kind.PAYOUT_TRANSIT)
    for postings in (
        [(wallet, -11), (earnings, 11)],
        [(earnings, -1), (wallet, 1)],
        [(owed, 1), (wallet, -1)],  # nobody owes less than nothing
        [(transit, -1), (wallet, 1)],
    ):
        with pytest.raises(asyncpg.CheckViolationError, match="nobody_spends_what_they_have_not"):
            await _post(app, *postings)
    await _post(app, (wallet, -10), (earnings, 10))
    with pytest.raises(asyncpg.CheckViolationError):
        await _post(app, (int(House.FEE), 0), (wallet, 0))
    balances = await world.owner.fetch("SELECT balance FROM ledger_accounts WHERE id = ANY($1)", [wallet, earnings])
    assert {row["balance"] for row in balances} == {0, 10}


async def test_user_has_no_account_of_the_houses_and_the_house_none_of_a_users(world: World, app: Connection) -> None:
    lock = "SELECT * FROM lock_ledger_accounts($1, $2)"
    fan = UUID(await world.person())
    for kind in ("stripe", "fee", "issued", "loss"):
        with pytest.raises(asyncpg.CheckViolationError):
            await app.fetch(lock, [kind], [fan])
    for kind in ("wallet", "owed", "earnings", "fee"):
        with pytest.raises(asyncpg.CheckViolationError):
            await app.fetch(lock, [kind], [None])
    assert await world.owner.fetchval("SELECT count(*) FROM ledger_accounts WHERE user_id IS NULL") == len(House)


async def _until_waiting(connection: Connection, count: int) -> None:
    """Until so many wait for a lock. Each look is a trip: Postgres tells nobody who waits for whom."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < count:
            pass


@pytest.mark.parametrize("suspended", ["payer", "creator"])
async def test_charge_sees_a_suspension_when_it_had_to_wait_for_it(
    world: World, owner_url: str, suspended: str
) -> None:
    people = {"payer": await world.person(tokens=100), "creator": await world.person(creator=True)}
    async with world_of(owner_url, world.stripe) as elsewhere, elsewhere.owner.transaction():
        await elsewhere.set_status(people[suspended], "suspended")
        charging = asyncio.create_task(world.charge(people["payer"], people["creator"], 60))
        await _until_waiting(world.owner, 1)
        assert not charging.done()
    if suspended == "payer":
        with pytest.raises(AccountInactive):
            await charging
    else:
        assert (await charging).body == "creator_not_found"
    assert await world.tokens(people["payer"]) == (100, 0)


@pytest.mark.parametrize("suspended", ["payer", "creator"])
async def test_suspension_waits_when_a_charge_is_under_way(world: World, owner_url: str, suspended: str) -> None:
    people = {"payer": await world.person(tokens=100), "creator": await world.person(creator=True)}
    async with world_of(owner_url, world.stripe) as elsewhere, world_of(owner_url, world.stripe) as operator:
        async with elsewhere.owner.transaction():
            await elsewhere.account(people["payer"], Kind.WALLET)  # locked: here the charge stops, having seen who pays
            charging = asyncio.create_task(world.charge(people["payer"], people["creator"], 60))
            await _until_waiting(world.owner, 1)
            suspending = asyncio.create_task(operator.set_status(people[suspended], "suspended"))
            await _until_waiting(world.owner, 2)
            assert not charging.done()
            assert not suspending.done()
        assert (await charging).status == 201
        await suspending
    assert await world.tokens(people["payer"]) == (40, 0)
    if suspended == "payer":
        with pytest.raises(AccountInactive):
            await world.charge(people["payer"], people["creator"], 1)
    else:
        assert (await world.charge(people["payer"], people["creator"], 1)).body == "creator_not_found"


async def test_nobody_waits_when_two_are_charged_for_the_same_creator(world: World, owner_url: str) -> None:
    """Their people are locked in share: what makes them wait is the creator's earnings alone."""
    first, second, creator = (
        await world.person(tokens=9),
        await world.person(tokens=9),
        await world.person(creator=True),
    )
    async with world_of(owner_url, world.stripe) as elsewhere, elsewhere.owner.transaction():
        await elsewhere.owner.execute("SELECT FROM users WHERE id = $1 FOR SHARE", UUID(creator))
        answers = [await world.charge(payer, creator, 9) for payer in (first, second)]
    assert [answer.status for answer in answers] == [201, 201]
