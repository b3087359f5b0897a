"""What happens at Stripe without the API, by people's hands, and what there is to see."""

from __future__ import annotations

import copy
from collections.abc import Callable

from tools.local.stripe.account import Account
from tools.local.stripe.resources import (
    accounts,
    balance,
    disputes,
    payment_intents,
    refunds,
    topups,
    transfer_reversals,
)
from tools.local.stripe.store import Json


class Dashboard:
    """The methods raise `StripeRefused`, are to be called in the event loop's thread, and return copies.

    The objects read here are the live ones: do not change them.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    # What a customer and the banks do

    def confirm(self, payment_intent_id: str, payment_method: str | None = "pm_card_visa") -> Json:
        """Pay, as the customer does in the browser."""
        return self._act(lambda: payment_intents.confirm(self._account, payment_intent_id, payment_method))

    def cancel(self, payment_intent_id: str) -> Json:
        return self._act(lambda: payment_intents.cancel(self._account, payment_intent_id))

    def refund(self, payment_intent_id: str, cents: int | None = None, *, fail: bool = False) -> Json:
        """Refund as in Stripe's dashboard, all that is left or so many cents; `fail`: and the refund fails later."""
        account = self._account
        return self._act(
            lambda: refunds.refund(account, refunds.charge_of(account, payment_intent_id), cents, will_fail=fail)
        )

    def fail_refund(self, refund_id: str) -> Json:
        return self._act(lambda: refunds.fail(self._account, refund_id))

    def dispute(self, payment_intent_id: str) -> Json:
        account = self._account
        return self._act(lambda: disputes.open_dispute(account, refunds.charge_of(account, payment_intent_id)["id"]))

    def close_dispute(self, dispute_id: str, *, won: bool) -> Json:
        return self._act(lambda: disputes.close(self._account, dispute_id, won=won))

    # What creators and the platform itself do

    def onboard(self, account_id: str, *, is_verified: bool = True) -> Json:
        """Complete onboarding, as a creator does in the browser; unless it `is_verified`, transfers stay pending."""
        return self._act(lambda: accounts.onboard(self._account, account_id, is_verified=is_verified))

    def close_account(self, account_id: str) -> Json:
        """Reject it, for good: transfers to it are refused."""
        return self._act(lambda: accounts.reject(self._account, account_id, "other"))

    def reverse(self, transfer_id: str, cents: int | None = None) -> Json:
        """Reverse a transfer, all that is left or so many cents."""
        return self._act(lambda: transfer_reversals.reverse(self._account, transfer_id, cents))

    def top_up(self, cents: int, currency: str = "usd") -> Json:
        """Add to the available balance without a payment."""
        return self._act(lambda: topups.top_up(self._account, cents, currency))

    def plant_account(self, account_id: str) -> Json:
        """An account of this id that was onboarded long ago; nobody is told."""
        return self._act(lambda: accounts.plant(self._account, account_id))

    def plant_funds(self, transaction_id: str, cents: int) -> Json:
        """So many cents that were added long ago, by a balance transaction of this id; nobody is told."""
        return self._act(lambda: topups.plant(self._account, transaction_id, cents))

    @property
    def funds_available_after_seconds(self) -> int:
        """How long the funds of the payments from now on are pending."""
        return self._account.funds_available_after_seconds

    @funds_available_after_seconds.setter
    def funds_available_after_seconds(self, seconds: int) -> None:
        self._account.funds_available_after_seconds = seconds

    # What there is, by id

    @property
    def payment_intents(self) -> dict[str, Json]:
        return self._account.store.tables["payment_intent"]

    @property
    def charges(self) -> dict[str, Json]:
        return self._account.store.tables["charge"]

    @property
    def refunds(self) -> dict[str, Json]:
        return self._account.store.tables["refund"]

    @property
    def disputes(self) -> dict[str, Json]:
        return self._account.store.tables["dispute"]

    @property
    def accounts(self) -> dict[str, Json]:
        """Those connected to the platform."""
        return self._account.store.tables["account"]

    @property
    def transfers(self) -> dict[str, Json]:
        return self._account.store.tables["transfer"]

    @property
    def balance_transactions(self) -> dict[str, Json]:
        balance.settle(self._account)
        return self._account.store.tables["balance_transaction"]

    @property
    def balance_cents(self) -> int:
        """The sum of the net of all balance transactions, available and pending, whatever the currency."""
        return self.available_cents + self.pending_cents

    @property
    def available_cents(self) -> int:
        """What can be transferred now."""
        return balance.cents(self._account, "available").total()

    @property
    def pending_cents(self) -> int:
        return balance.cents(self._account, "pending").total()

    def _act(self, change: Callable[[], Json]) -> Json:
        try:
            return copy.deepcopy(change())
        finally:
            self._account.store.commit()
