"""What somebody has, kept in the cache for as long as no transaction of theirs commits."""

from __future__ import annotations

from typing import Final

from functions.payments import ledger_repository
from functions.payments.schemas import Balance, BalanceOut
from shared.cache.space import Space
from shared.cache.spaces import BALANCES
from shared.postgres.transaction import Transaction
from shared.settings import settings
from shared.upstash import keys

space: Final = Space(keys.TOKEN, "balance", BalanceOut, BALANCES)


async def load(user_id: str, transaction: Transaction | None = None) -> Balance:
    """The truth, as it is in this transaction if there is one."""
    found = await ledger_repository.balances(user_id, hold_days=settings().payout_hold_days, transaction=transaction)
    return Balance(
        tokens=found.tokens,
        owed_tokens=found.owed_tokens,
        earnings_tokens=found.earnings_tokens,
        available_tokens=max(found.earnings_tokens - found.held_tokens, 0),
        pending_payout_tokens=found.pending_payout_tokens,
    )


async def load_answer(user_id: str) -> BalanceOut:
    return BalanceOut(balance=await load(user_id))


def forget(transaction: Transaction, *user_ids: str) -> None:
    """Whoever reads them after this transaction has committed reads them anew."""
    for user_id in user_ids:
        space.drop(transaction, user_id)
