"""A process dies at every await that touches Postgres, Upstash or Stripe, in every way; its request is repeated."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from functions.payments import (
    accounts_repository,
    intents,
    ledger_repository,
    payouts_repository,
    provider,
    reconcile_repository,
    repository,
    transfers,
)
from shared.postgres import idempotency, outbox
from tests.functions.payments.crash import deliveries, labels, labels_payouts, trials
from tests.functions.payments.crash.deaths import die
from tests.functions.payments.crash.operations import ALL, OPERATIONS
from tests.functions.payments.crash.payout_operations import PAYOUTS
from tests.functions.payments.crash.points import Way, sql_label
from tests.functions.payments.crash.world import World

# Statements of the same modules that none of these operations comes by: it reads, or what it changes is one row alone.
_ELSEWHERE: Final = {
    "sql WITH mine AS SELECT",  # list_entries
    "sql UPDATE payout_accounts SET attempt",  # when Stripe has failed to make one: another key for the next request
}
_MODULES: Final = (
    *(repository, ledger_repository, accounts_repository, payouts_repository, reconcile_repository),
    *(idempotency, outbox),
)
_STRIPE_CALLS: Final = {
    "payment_intents.create_async": "stripe POST /v1/payment_intents",
    "payment_intents.retrieve_async": "stripe GET /v1/payment_intents/:id",
    "refunds.list_async": "stripe GET /v1/refunds",
    "disputes.list_async": "stripe GET /v1/disputes",
    "transfers.create_async": labels_payouts.SENDS,
    "transfers.list_async": labels_payouts.LISTS,
    "transfers.retrieve_async": "stripe GET /v1/transfers/:id",
    "accounts.create_async": "stripe POST /v1/accounts",
    "accounts.retrieve_async": "stripe GET /v1/accounts/:id",
    "account_links.create_async": "stripe POST /v1/account_links",
    "balance.retrieve_async": "stripe GET /v1/balance",
    "balance_transactions.list_async": "stripe GET /v1/balance_transactions",
}
_CALLS_ELSEWHERE: Final = {"reversals.list_async"}  # of a transfer that came back in more than ten parts: reads
_LISTED: Final = {label for operation in [*ALL.values(), *PAYOUTS.values()] for label in operation.labels}


async def test_points_are_the_listed_ones_when_nothing_goes_wrong(world: World) -> None:
    for name, operation in ALL.items():
        trial = operation.new_trial(world, await world.newcomer())
        await trial.prepare()
        ended = await world.doom(trial.request)
        assert ended.status == 0
        assert ended.reply is not None
        assert ended.reply.status == (trial.lives_with or trial.succeeds_with)
        assert tuple(ended.labels) == operation.labels, f"{name}: list the new points in labels.py"
        await trial.finish(ended)


@pytest.mark.parametrize("name", ["purchase", "charge", "paid", "refund"])
async def test_operation_is_done_once_when_its_process_dies_at_a_commit(world: World, name: str) -> None:
    await die(world, OPERATIONS[name], OPERATIONS[name].telling_deaths)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
async def test_operation_is_done_once_when_its_process_dies_anywhere(world: World, name: str) -> None:
    await die(world, ALL[name], ALL[name].deaths)


@pytest.mark.parametrize("module", _MODULES)
def test_statement_is_a_crash_point_when_it_is_in_the_source(module: Any) -> None:
    """What no operation comes by is found in the source, so that nobody forgets the operation."""
    statements = set(_statements(module))
    assert statements
    assert statements - _LISTED - _ELSEWHERE == set()


def test_stripe_call_is_a_crash_point_when_it_is_in_the_source() -> None:
    sources = [ast.parse(Path(str(module.__file__)).read_text()) for module in (provider, intents, transfers)]
    nodes = [node for source in sources for node in ast.walk(source)]
    attributes = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr.endswith("_async")]
    calls = {f"{node.value.attr}.{node.attr}" for node in attributes if isinstance(node.value, ast.Attribute)}
    assert calls - _CALLS_ELSEWHERE == _STRIPE_CALLS.keys()
    assert set(_STRIPE_CALLS.values()) <= _LISTED


def test_nothing_else_awaits_a_dependency_when_it_is_in_payments() -> None:
    """SQL is in the repositories, Stripe in the provider, Upstash behind `shared`: nobody goes around the hooks."""
    importers = {
        path.stem
        for path in Path(str(provider.__file__)).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name.split(".")[0] in {"asyncpg", "stripe", "httpx", "upstash_redis", "socket", "aiosmtplib"}
    }
    assert importers == {"provider", "repository", "ledger_repository", "payouts_repository", "accounts_repository"}


async def test_balance_is_old_for_half_a_minute_at_most_when_its_drop_was_lost(world: World) -> None:
    trial = trials.Charge(world, await world.newcomer())
    await trial.prepare()
    assert (await world.doom(trial.request, labels.CHARGE.index(labels.COMMIT), Way.AFTER)).was_killed
    assert await trial.buyer.balance() == trial.before, "a repeat does nothing, and so drops nothing"
    await trial.retry()
    assert await trial.buyer.balance() == trial.before
    await trial.check()  # as old as it may be, and right from the drain on


@pytest.mark.plants_a_fault
@pytest.mark.parametrize(("name", "commit"), [("charge", 0), ("paid", 1)])
async def test_check_fails_when_the_retry_is_left_out(world: World, name: str, commit: int) -> None:
    trial = OPERATIONS[name].new_trial(world, await world.newcomer())
    await trial.prepare()
    commits = [point for point, label in enumerate(OPERATIONS[name].labels) if label == labels.COMMIT]
    assert (await world.doom(trial.request, commits[commit], Way.BEFORE)).was_killed
    with pytest.raises(AssertionError):
        await trial.check()


async def test_check_fails_when_a_charge_is_made_twice(world: World) -> None:
    trial = trials.Charge(world, await world.newcomer())
    await trial.prepare()
    await world.doom(trial.request)
    assert (await trial.buyer.post("charge", trial.body)).status_code == 201
    with pytest.raises(AssertionError):
        await trial.check()


@pytest.mark.plants_a_fault
async def test_audit_finds_it_when_a_payment_is_booked_twice(world: World) -> None:
    trial = deliveries.Paid(world, await world.newcomer())
    await trial.prepare()
    await world.doom(trial.request)
    assert await world.audit() == []
    await world.owner.execute("DELETE FROM stripe_events; DELETE FROM purchase_movements")
    await world.deliver(trial.event)
    assert "200 tokens are issued, Stripe was paid for 100" in await world.audit()


def _statements(module: Any) -> Iterator[str]:
    """The labels of the SQL that a module hands to a transaction."""
    source = ast.parse(Path(module.__file__).read_text())
    for node in ast.walk(source):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr.startswith(("execute", "fetch"))
            and node.args
        ):
            yield sql_label(_text(node.args[0], sys.modules[module.__name__]))


def _text(node: ast.expr, module: Any) -> str:
    """A string as it is written, with the module's constants in their places."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name):
        return str(getattr(module, node.id))
    assert isinstance(node, ast.JoinedStr), f"line {node.lineno}: SQL that cannot be read from the source"
    parts = (part.value if isinstance(part, ast.FormattedValue) else part for part in node.values)
    return "".join(
        str(getattr(module, one.id, "")) if isinstance(one, ast.Name) else _text(one, module) for one in parts
    )
