"""Stripe, as far as money goes out: creators' accounts, transfers to them, and its own account of our money."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from functions.payments.movements import Entry, Sent, Transfer
from functions.payments.provider import PAGE, ProviderFailed, asked, every
from shared.settings import settings

CURRENCY: Final = "usd"

# Stripe's words for an account that is not there any more, or was never there; and for one that cannot take money yet.
_GONE: Final = {"account_invalid", "resource_missing", "account_closed"}
_NOT_ABLE: Final = {"insufficient_capabilities_for_transfer"}
NO_FUNDS: Final = "balance_insufficient"


def is_gone(failed: ProviderFailed) -> bool:
    """Whether it is the account that there is no way to pay to, for good."""
    return failed.is_definitive and failed.reason in _GONE


def is_not_able(failed: ProviderFailed) -> bool:
    """Whether it is the account that has to do something first."""
    return failed.is_definitive and failed.reason in _NOT_ABLE


async def create(*, payout_id: str, attempt: int, cents: int, account_id: str) -> Transfer:
    """Send money: the same one, however often it is asked under the same attempt, for a day.

    Raise ProviderFailed or PaymentProviderUnavailable; then it may have gone all the same, unless it is definitive.
    """
    key = f"payout:{payout_id}" if attempt == 1 else f"payout:{payout_id}:{attempt}"
    async with asked() as client:
        made = await client.v1.transfers.create_async(
            {
                "amount": cents,
                "currency": CURRENCY,
                "destination": account_id,
                "transfer_group": payout_id,
                "metadata": {"payout_id": payout_id, "stage": settings().stage},
            },
            {"idempotency_key": key},
        )
    return await _transfer(made.to_dict())


async def find_transfers(payout_id: str) -> list[Transfer]:
    """Every transfer of a payout, the oldest first: those of its group, one made by hand too, but none that says that
    it is something else's. Raise ProviderFailed or PaymentProviderUnavailable."""
    ours = {"payout_id": payout_id, "stage": settings().stage}
    async with asked() as client:
        params: Any = {"transfer_group": payout_id, "limit": PAGE}
        found = await every(client.v1.transfers.list_async, params)
        return [await _transfer(one) for one in found if {**ours, **one["metadata"]}.items() >= ours.items()]


async def group_of(transfer_id: str) -> str | None:
    """Whose payout a transfer is. Raise ProviderFailed or PaymentProviderUnavailable."""
    async with asked() as client:
        return (await client.v1.transfers.retrieve_async(transfer_id)).transfer_group


async def create_account(*, user_id: str, attempt: int) -> str:
    """An account for a creator, by its id: the same one under the same attempt. Raise as above."""
    async with asked() as client:
        made = await client.v1.accounts.create_async(
            {
                "type": "express",
                "capabilities": {"transfers": {"requested": True}},
                "metadata": {"user_id": user_id, "stage": settings().stage},
            },
            {"idempotency_key": f"account:{user_id}:{attempt}"},
        )
    return made.id


async def account_status(account_id: str) -> str:
    """pending, active or closed. Raise ProviderFailed or PaymentProviderUnavailable."""
    try:
        async with asked() as client:
            account = (await client.v1.accounts.retrieve_async(account_id)).to_dict()
    except ProviderFailed as failed:
        if is_gone(failed):
            return "closed"
        raise
    if str(account["requirements"].get("disabled_reason")).startswith("rejected."):
        return "closed"
    return "active" if account["capabilities"].get("transfers") == "active" else "pending"


async def onboarding_url(account_id: str) -> str:
    """Where the owner of an account tells Stripe who they are; good for minutes. Raise as above."""
    page = settings().payout_account_url
    async with asked() as client:
        link = await client.v1.account_links.create_async(
            {"account": account_id, "type": "account_onboarding", "refresh_url": page, "return_url": page}
        )
    return link.url


async def balance_cents() -> int:
    """What we have at Stripe, what is still pending included. Raise ProviderFailed or PaymentProviderUnavailable."""
    async with asked() as client:
        found = (await client.v1.balance.retrieve_async()).to_dict()
    parts = [*found["available"], *found["pending"]]
    return sum(part["amount"] for part in parts if part["currency"] == CURRENCY)


async def list_entries(since: int, until: int | None) -> AsyncIterator[list[Entry]]:
    """Stripe's balance transactions from `since` to before `until` (seconds since 1970), by the page, the latest first.

    Raise ProviderFailed or PaymentProviderUnavailable: each page has a deadline of its own.
    """
    params: dict[str, Any] = {"created": {"gte": since}, "limit": PAGE, "expand": ["data.source"]}
    if until is not None:
        params["created"]["lt"] = until
    has_more = True
    while has_more:
        async with asked() as client:
            listed: Any = params
            page = (await client.v1.balance_transactions.list_async(listed)).to_dict()
        has_more = page["has_more"]
        if page["data"]:
            params["starting_after"] = page["data"][-1]["id"]
            yield [_entry(one) for one in page["data"] if one["currency"] == CURRENCY]


async def _transfer(transfer: dict[str, Any]) -> Transfer:
    """What came back of it is listed with it; only where that is not all of it, it is asked for."""
    reversals = transfer["reversals"]["data"]
    if transfer["reversals"]["has_more"]:
        async with asked() as client:
            params: Any = {"limit": PAGE}
            pages = await client.v1.transfers.reversals.list_async(transfer["id"], params)
            reversals = [one.to_dict() async for one in pages.auto_paging_iter()]
    came_back = sorted(reversals, key=lambda one: (one["created"], one["id"]))
    return Transfer(
        id=transfer["id"],
        is_made_here="payout_id" in transfer["metadata"],
        amount_cents=transfer["amount"],
        currency=transfer["currency"],
        account_id=transfer["destination"],
        livemode=transfer["livemode"],
        movements=tuple(
            Sent(booked, cents)
            for booked, cents in (
                (transfer["balance_transaction"], -transfer["amount"]),
                *((one["balance_transaction"], one["amount"]) for one in came_back),
            )
            if booked is not None  # Stripe's documentation allows for it: then nothing has moved yet
        ),
    )


def _entry(booked: dict[str, Any]) -> Entry:
    source = booked["source"] if isinstance(booked["source"], dict) else {}
    kind = source.get("object")
    return Entry(
        id=booked["id"],
        type=booked["type"],
        created=booked["created"],
        cents=booked["amount"],
        fee_cents=booked["fee"],
        payment_id=source.get("payment_intent") if kind in {"charge", "refund", "dispute"} else None,
        payout_id=source.get("transfer_group") if kind == "transfer" else None,
        transfer_id=source.get("transfer") if kind in {"transfer_reversal", "reversal"} else None,
    )
