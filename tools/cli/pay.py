"""`digis pay`: confirm a purchase's payment at the fake Stripe, as the buyer does in the browser."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from shared.settings import SettingsInvalid, settings
from tools.cli.screen import fail, out
from tools.local.env_file import DEFAULT_DATA, adopt_env, read_env, read_state

if TYPE_CHECKING:
    from asyncpg import Record

CARD: Final = "pm_card_visa"
DECLINED_CARD: Final = "pm_card_chargeDeclined"
_CALL_SECONDS: Final = 5.0
_SETTLED_SECONDS: Final = 10.0  # the webhook comes after one, and again after two more if it was refused
_LOOK_SECONDS: Final = 0.1  # Postgres is asked: the function that hears of it is another process


def pay(
    purchase_id: Annotated[UUID, typer.Argument(help="Of a purchase that is pending.")],
    data: Annotated[Path, typer.Option(help="Of the running digis dev.")] = DEFAULT_DATA,
    *,
    decline: Annotated[bool, typer.Option("--decline", help="Pay with a card that is declined.")] = False,
    dispute: Annotated[bool, typer.Option("--dispute", help="Pay with a card whose owner disputes it.")] = False,
) -> None:
    """Confirm a pending purchase at the fake Stripe, and wait until its webhook has made it paid."""
    if read_state(data) is None:
        fail(f"no digis dev runs with the data directory {data}")
    # Its own Stripe, whatever key of another one this shell has.
    os.environ.update({name: value for name, value in read_env(data).items() if name.startswith("STRIPE_")})
    adopt_env(data)
    try:
        base = settings().stripe_api_base
    except SettingsInvalid as error:
        fail(str(error))
    if base is None or settings().deployed:
        fail("this is for the fake Stripe of a laptop alone")
    card = DECLINED_CARD if decline else "pm_card_createDispute" if dispute else CARD
    asyncio.run(_pay(purchase_id, card))


async def _pay(purchase_id: UUID, card: str) -> None:
    from shared.postgres.pool import DatabaseUnavailable, database  # noqa: PLC0415 -- `--help` does not wait for it

    try:
        row = await _purchase(purchase_id)
        if row is None:
            fail(f"there is no purchase {purchase_id}")
        if row["payment_intent_id"] is None:
            fail("this purchase has no payment yet: the request that began it was not answered; repeat it")
        is_declined = not await _confirm(row["payment_intent_id"], card)
        if not (is_declined and row["status"] == "failed"):  # it is failed again: nothing changes
            row = await _settled(purchase_id, row["status"])
    except DatabaseUnavailable:
        fail("the database does not answer")
    finally:
        await database().close()
    out.print(f"{row['status']}: {row['tokens']} tokens, {row['price_cents']} cents")


async def _confirm(intent_id: str, card: str) -> bool:
    """Whether the card was charged and not declined."""
    import stripe  # noqa: PLC0415

    client = stripe.StripeClient(
        settings().stripe_secret_key,
        base_addresses={"api": settings().stripe_api_base or ""},
        http_client=stripe.HTTPXClient(timeout=_CALL_SECONDS),
    )
    try:
        await client.v1.payment_intents.confirm_async(intent_id, {"payment_method": card})
    except stripe.CardError as error:
        out.print(f"declined: {error.user_message}")
        return False
    except stripe.APIConnectionError:
        fail("Stripe does not answer")
    except stripe.StripeError as error:
        fail(f"Stripe: {error.user_message or type(error).__name__}")
    return True


async def _settled(purchase_id: UUID, before: str) -> Record:
    """The purchase once its status is another than before."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SETTLED_SECONDS
    while (row := await _purchase(purchase_id)) is None or row["status"] == before:
        if loop.time() > deadline:
            fail(f"still {before} after {_SETTLED_SECONDS:.0f} s: no webhook has been taken; see digis dev's output")
        await asyncio.sleep(_LOOK_SECONDS)
    return row


async def _purchase(purchase_id: UUID) -> Record | None:
    from shared.postgres.pool import database  # noqa: PLC0415

    return await database().fetchrow(
        "SELECT status, tokens, price_cents, payment_intent_id FROM purchases WHERE id = $1", purchase_id
    )
