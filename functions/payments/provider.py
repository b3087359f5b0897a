"""Stripe, and nothing else of it: what we ask and what we understand of the answers.

Every call has a deadline. stripe and httpx are imported when Stripe is called, not by every cold start. Nothing is
retried here: whoever repeats a request repeats the call under the same key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from functions.payments.movements import Movement, Payment
from shared import telemetry
from shared.http.problems import InvalidSignature, PaymentProviderUnavailable
from shared.settings import settings

if TYPE_CHECKING:
    from stripe import StripeClient

T = TypeVar("T")

CONNECT_SECONDS: Final = 2.0
SIGNED_SECONDS: Final = 300  # how old a signature may be: Stripe signs each delivery anew
RETRY_SECONDS: Final = 5
_PAGE: Final = 100  # the most that Stripe lists at once
_NOT_FOUND: Final = 404
_NOT_STORED: Final = {409, 429}


class ProviderFailed(PaymentProviderUnavailable):
    """Stripe has answered, and not with what was asked for. It would repeat that for a day under the same key."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A payment that the client may now confirm."""

    id: str
    client_secret: str


_clients: Final[dict[asyncio.AbstractEventLoop, tuple[str, Any, Any]]] = {}


async def create_intent(*, purchase_id: str, attempt: int, cents: int, currency: str) -> Intent:
    """Ask for the payment of a purchase: for the same one, however often it is asked under the same attempt.

    Raise ProviderFailed or PaymentProviderUnavailable; then it may exist all the same.
    """
    key = f"purchase:{purchase_id}" if attempt == 1 else f"purchase:{purchase_id}:{attempt}"
    async with _asked() as client:
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": cents,
                "currency": currency,
                "automatic_payment_methods": {"enabled": True},
                "capture_method": "automatic",  # so that a payment that succeeded has its balance transaction
                "metadata": {"purchase_id": purchase_id, "stage": settings().stage},
            },
            {"idempotency_key": key},
        )
    return Intent(intent.id, intent.client_secret or "")


async def find_intent(intent_id: str) -> Intent:
    """A payment that there is already. Raise ProviderFailed or PaymentProviderUnavailable."""
    async with _asked() as client:
        intent = await client.v1.payment_intents.retrieve_async(intent_id)
    return Intent(intent.id, intent.client_secret or "")


async def find_payment(intent_id: str) -> Payment | None:
    """What there is of a payment, all of it; None for one that Stripe does not know, or that is not a purchase of ours.

    Raise ProviderFailed or PaymentProviderUnavailable.
    """
    async with _asked() as client:
        try:
            expanded: Any = {"expand": ["latest_charge.balance_transaction"]}
            intent = (await client.v1.payment_intents.retrieve_async(intent_id, expanded)).to_dict()
        except _stripe().InvalidRequestError as error:
            if error.http_status == _NOT_FOUND:
                return None
            raise
        metadata = intent["metadata"]
        if "purchase_id" not in metadata:
            return None
        of_intent: Any = {"payment_intent": intent_id, "limit": _PAGE}
        # One after the other: of two at once, one would run on after the other had failed.
        refunds = await _all(client.v1.refunds.list_async, of_intent)
        disputes = await _all(client.v1.disputes.list_async, of_intent)
    return Payment(
        id=intent["id"],
        purchase_id=metadata["purchase_id"],
        stage=metadata.get("stage", ""),
        amount_cents=intent["amount"],
        currency=intent["currency"],
        livemode=intent["livemode"],
        status=_status(intent),
        movements=(*_of_charge(intent.get("latest_charge")), *_of_refunds(refunds), *_of_disputes(disputes)),
    )


def verify(body: bytes, signature: str) -> None:
    """Raise InvalidSignature for what Stripe has not signed with one of our secrets, just now."""
    webhook = _stripe().WebhookSignature
    for secret in settings().stripe_webhook_secret:
        try:
            webhook.verify_header(body.decode(), signature, secret, SIGNED_SECONDS)
        except (_stripe().SignatureVerificationError, ValueError, TypeError):  # beyond ASCII nothing is compared
            continue
        return
    raise InvalidSignature


async def close() -> None:
    """Close the connections of this event loop. The next call connects anew."""
    if known := _clients.pop(asyncio.get_running_loop(), None):
        await known[2].close_async()


def is_live() -> bool:
    """Whether our key moves real money."""
    return settings().stripe_secret_key.startswith(("sk_live_", "rk_live_"))


@asynccontextmanager
async def _asked() -> AsyncIterator[StripeClient]:
    """Stripe's client, for some calls inside one deadline. What goes wrong is ours to say."""
    library = _stripe()
    try:
        async with asyncio.timeout(settings().stripe_deadline_ms / 1000):
            yield _client()
    except library.StripeError as error:
        # Its message may quote what was sent: the kind has to do.
        telemetry.logger().warning("stripe: %s, HTTP %s, %s", type(error).__name__, error.http_status, error.code)
        # Without Stripe's request id it is some proxy's. A 409 is about an earlier call, a 429 stored nothing.
        answered = error.request_id is not None and error.http_status not in _NOT_STORED
        kind = ProviderFailed if answered else PaymentProviderUnavailable
        raise kind(headers={"Retry-After": str(RETRY_SECONDS)}) from None
    except TimeoutError:
        telemetry.logger().warning("stripe: no answer within the deadline")
        raise PaymentProviderUnavailable(headers={"Retry-After": str(RETRY_SECONDS)}) from None


def _client() -> StripeClient:
    """One for each event loop, whose connections are kept; a new one when the settings are."""
    import httpx  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    key, base = settings().stripe_secret_key, settings().stripe_api_base
    known = _clients.get(loop)
    if known is None or known[0] != f"{key} {base}":
        for closed in [other for other in _clients if other.is_closed()]:
            del _clients[closed]
        deadline = settings().stripe_deadline_ms / 1000
        http = _stripe().HTTPXClient(timeout=httpx.Timeout(deadline, connect=min(CONNECT_SECONDS, deadline)))
        addresses = {"api": base} if base else None
        client = _stripe().StripeClient(key, base_addresses=addresses, max_network_retries=0, http_client=http)
        known = _clients[loop] = (f"{key} {base}", client, http)
    found: StripeClient = known[1]
    return found


def _stripe() -> Any:
    import stripe  # noqa: PLC0415 -- half of a cold start, for those who pay

    return stripe


async def _all(list_async: Callable[[Any], Awaitable[Any]], params: Any) -> list[dict[str, Any]]:
    """Every page, the oldest first."""
    found = [item.to_dict() async for item in (await list_async(params)).auto_paging_iter()]
    return sorted(found, key=lambda one: (one["created"], one["id"]))


def _status(intent: dict[str, Any]) -> str:
    if intent["status"] == "succeeded":
        return "paid"
    return "failed" if intent["status"] == "canceled" or intent.get("last_payment_error") else "pending"


def _of_charge(charge: dict[str, Any] | None) -> list[Movement]:
    booked = charge["balance_transaction"] if charge else None
    return [Movement(booked["id"], "purchase", booked["amount"], booked["fee"])] if booked else []


def _of_refunds(refunds: list[dict[str, Any]]) -> list[Movement]:
    """A refund takes money when it has a balance transaction; one that failed brings it back with another."""
    found = []
    for refund in refunds:
        if taken := refund.get("balance_transaction"):
            found.append(Movement(taken, "refund", -refund["amount"], 0))
        if brought_back := refund.get("failure_balance_transaction"):
            found.append(Movement(brought_back, "refund_reversed", refund["amount"], 0))
    return found


def _of_disputes(disputes: list[dict[str, Any]]) -> list[Movement]:
    return [
        Movement(
            booked["id"], "dispute" if booked["amount"] < 0 else "dispute_reversed", booked["amount"], booked["fee"]
        )
        for dispute in disputes
        for booked in dispute["balance_transactions"]
    ]
