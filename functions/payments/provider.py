"""Stripe, and how it is asked. `intents` asks of what comes in, `transfers` of what goes out.

Every call has a deadline. stripe and httpx are imported when Stripe is called, not by every cold start. Nothing is
retried here: whoever repeats a request repeats the call under the same key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared import telemetry
from shared.http.problems import InvalidSignature, PaymentProviderUnavailable
from shared.settings import settings

if TYPE_CHECKING:
    import httpx
    from stripe import StripeClient

T = TypeVar("T")

CONNECT_SECONDS: Final = 2.0
SIGNED_SECONDS: Final = 300  # how old a signature may be: Stripe signs each delivery anew
RETRY_SECONDS: Final = 5
PAGE: Final = 100  # the most that Stripe lists at once
BAD_REQUEST: Final = 400
SERVER_ERROR: Final = 500
ACCOUNT_INVALID: Final = "account_invalid"
_OF_OUR_KEY: Final = {401, 403}
NOT_FOUND: Final = 404
_NOT_STORED: Final = {409, 429}


class ProviderFailed(PaymentProviderUnavailable):
    """Stripe has answered, and not with what was asked for. It would repeat that for a day under the same key."""

    def __init__(self, http_status: int, reason: str | None) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_SECONDS)})
        self.http_status = http_status
        self.reason = reason  # one of Stripe's codes, where it gave one

    @property
    def is_definitive(self) -> bool:
        """Nothing was done, and nothing will be, under that key. A failure of Stripe's own (5xx) does not say so, nor
        does a refusal of our own key (401, 403), which passes; but for that of an account that is not ours to use."""
        is_of_our_key = self.http_status in _OF_OUR_KEY and self.reason != ACCOUNT_INVALID
        return BAD_REQUEST <= self.http_status < SERVER_ERROR and not is_of_our_key


def is_definitive(failed: Exception) -> bool:
    """Whether Stripe has refused this one thing, rather than being out of reach, or out of order."""
    return isinstance(failed, ProviderFailed) and failed.is_definitive


# Seconds since 1970, by the wall clock: others stand still while a process is stopped or frozen.
_not_after: Final[ContextVar[float | None]] = ContextVar("not_after", default=None)

_clients: Final[dict[asyncio.AbstractEventLoop, tuple[str, Any, Any]]] = {}


def verify(body: bytes, signature: str) -> None:
    """Raise InvalidSignature for what Stripe has not signed with one of our secrets, just now."""
    webhook = library().WebhookSignature
    for secret in settings().stripe_webhook_secret:
        try:
            webhook.verify_header(body.decode(), signature, secret, SIGNED_SECONDS)
        except (library().SignatureVerificationError, ValueError, TypeError):  # beyond ASCII nothing is compared
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
async def asked() -> AsyncIterator[StripeClient]:
    """Stripe's client, for some calls inside one deadline. What goes wrong is ours to say."""
    stripe = library()
    try:
        async with asyncio.timeout(settings().stripe_deadline_ms / 1000):
            yield _client()
    except stripe.StripeError as error:
        # Its message may quote what was sent: the kind has to do.
        telemetry.logger().warning("stripe: %s, HTTP %s, %s", type(error).__name__, error.http_status, error.code)
        # Without Stripe's request id it is some proxy's. A 409 is about an earlier call, a 429 stored nothing.
        reused = isinstance(error, stripe.IdempotencyError)  # tells nothing of what was done under that key
        if error.request_id is not None and error.http_status not in _NOT_STORED and not reused:
            code = error.code or getattr(error.error, "code", None)  # the SDK passes on no code of a 403
            raise ProviderFailed(error.http_status or SERVER_ERROR, code) from None
        raise PaymentProviderUnavailable(headers={"Retry-After": str(RETRY_SECONDS)}) from None
    except TimeoutError:
        telemetry.logger().warning("stripe: no answer within the deadline")
        raise PaymentProviderUnavailable(headers={"Retry-After": str(RETRY_SECONDS)}) from None


@contextmanager
def not_after(moment: float) -> Iterator[None]:
    """Nothing is sent after that, in seconds since 1970, however long this process was stopped in between: it fails as
    if Stripe could not be reached."""
    reset = _not_after.set(moment)
    try:
        yield
    finally:
        _not_after.reset(reset)


async def _refuse_late(_request: httpx.Request) -> None:
    """The last thing before a request goes out."""
    moment = _not_after.get()
    if moment is not None and time.time() > moment:
        telemetry.logger().warning("stripe: not sent, it is too late for it")
        raise TimeoutError


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
        http = library().HTTPXClient(timeout=httpx.Timeout(deadline, connect=min(CONNECT_SECONDS, deadline)))
        http._client_async.event_hooks = {"request": [_refuse_late]}  # noqa: SLF001 -- the SDK has no way to it
        addresses = {"api": base} if base else None
        client = library().StripeClient(key, base_addresses=addresses, max_network_retries=0, http_client=http)
        known = _clients[loop] = (f"{key} {base}", client, http)
    found: StripeClient = known[1]
    return found


def library() -> Any:
    import stripe  # noqa: PLC0415 -- half of a cold start, for those who pay

    return stripe


async def every(list_async: Callable[[Any], Awaitable[Any]], params: Any) -> list[dict[str, Any]]:
    """Every page, the oldest first."""
    found = [item.to_dict() async for item in (await list_async(params)).auto_paging_iter()]
    return sorted(found, key=lambda one: (one["created"], one["id"]))
