"""Mistakes that the code might have. Each is planted in a process, and has to be found."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import UUID

from functions.payments import payouts_repository, provider, senders, transfers
from functions.payments.payouts_repository import PayoutRow
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

Change = Callable[[Any, str, Any], None]  # `setattr`, or what takes it back later


def _sends_however_late(change: Change) -> None:
    @contextlib.contextmanager
    def not_after(_moment: float) -> Iterator[None]:
        yield

    change(provider, "not_after", not_after)


def _puts_off_what_is_not_its_own(change: Change) -> None:
    put_off = payouts_repository.put_off

    async def put_off_anybodys(payout: PayoutRow, **how: Any) -> None:
        row = await database().fetchrow("SELECT fence FROM payouts WHERE id = $1", UUID(payout.id))
        assert row is not None
        await put_off(dataclasses.replace(payout, fence=row["fence"]), **how)

    change(payouts_repository, "put_off", put_off_anybodys)


def _gives_back_what_is_not_its_own(change: Change) -> None:
    fail, lock = senders.fail, payouts_repository.lock

    async def fail_anyway(payout: PayoutRow, **how: Any) -> bool:
        async def lock_as_ours(transaction: Transaction, payout_id: str) -> PayoutRow | None:
            row = await lock(transaction, payout_id)
            return row and dataclasses.replace(row, fence=payout.fence)

        change(payouts_repository, "lock", lock_as_ours)
        try:
            return await fail(payout, **how)
        finally:
            change(payouts_repository, "lock", lock)

    change(senders, "fail", fail_anyway)


def _sends_unmarked(change: Change) -> None:
    async def mark_sent(_payout: PayoutRow) -> bool:
        return True

    change(payouts_repository, "mark_sent", mark_sent)


def _forgets_movements(change: Change) -> None:
    insert_movement = payouts_repository.insert_movement

    async def insert_without_name(*what: Any, stripe_id: str | None = None, cents: int = 0) -> None:
        await insert_movement(*what, cents=cents)

    change(payouts_repository, "insert_movement", insert_without_name)


def _does_not_look(change: Change) -> None:
    async def find_nothing(_payout_id: str) -> list[Any]:
        return []

    change(transfers, "find_transfers", find_nothing)


PLANTS: Final[dict[str, Callable[[Change], None]]] = {
    "sends however late": _sends_however_late,
    "puts off what is not its own": _puts_off_what_is_not_its_own,
    "gives back what is not its own": _gives_back_what_is_not_its_own,
    "sends unmarked": _sends_unmarked,
    "forgets movements": _forgets_movements,
    "does not look": _does_not_look,
}
