"""What people have, worked out from what happened to them in plain Python, without the ledger's own rules."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Payment:
    """A purchase as Stripe has it."""

    tokens: int
    cents: int
    is_paid: bool = False
    is_declined: bool = False
    refunds: dict[str, int] = field(default_factory=dict)  # cents by id, without those that failed
    taken_by_dispute: int = 0
    dispute: str = ""  # its state: open, won, lost
    fees: int = 0

    @property
    def returned(self) -> int:
        return sum(self.refunds.values()) + self.taken_by_dispute

    @property
    def taken_tokens(self) -> int:
        return self.tokens * self.returned // self.cents

    @property
    def status(self) -> str:
        if not self.is_paid:
            return "failed" if self.is_declined else "pending"
        if self.taken_by_dispute:
            return "disputed"
        return "refunded" if self.returned == self.cents else "paid"

    def pay(self) -> None:
        self.is_paid = True
        self.fees += round_half_up(self.cents * 29, 1000) + 30

    def open_dispute(self) -> None:
        self.dispute, self.taken_by_dispute = "open", self.cents - self.returned
        self.fees += 1500

    def close_dispute(self, *, won: bool) -> None:
        self.dispute = "won" if won else "lost"
        self.taken_by_dispute = 0 if won else self.taken_by_dispute


@dataclass
class Person:
    """Somebody's whole life in tokens."""

    is_creator: bool
    is_active: bool = True
    granted: int = 0
    spent: int = 0
    earned: int = 0
    payments: list[Payment] = field(default_factory=list)

    @property
    def position(self) -> int:
        bought = sum(payment.tokens - payment.taken_tokens for payment in self.payments if payment.is_paid)
        return self.granted + bought - self.spent

    @property
    def balance(self) -> tuple[int, int, int]:
        """In the wallet, owed, earned."""
        return max(self.position, 0), max(-self.position, 0), self.earned

    @property
    def lost_cents(self) -> int:
        """What those tokens had cost that were taken back but are spent, the oldest purchase first."""
        lost, owed = 0, max(-self.position, 0)
        for payment in self.payments:
            if payment.is_paid and payment.taken_tokens and owed:
                part = min(owed, payment.taken_tokens)
                lost += part * payment.returned // payment.taken_tokens
                owed -= part
        return lost


@dataclass
class Model:
    """Everybody, and what the house has."""

    people: dict[str, Person] = field(default_factory=dict)
    fee_tokens: int = 0

    def refusal(self, payer_id: str, creator_id: str, tokens: int) -> str | None:
        """Why this charge is refused; None when it is not."""
        payer, creator = self.people[payer_id], self.people.get(creator_id)
        if not payer.is_active:
            return "account_inactive"
        if payer_id == creator_id:
            return "self_charge"
        if creator is None or not (creator.is_creator and creator.is_active):
            return "creator_not_found"
        return "insufficient_tokens" if tokens > payer.balance[0] else None

    def charge(self, payer_id: str, creator_id: str, tokens: int) -> None:
        fee = tokens // 5
        self.people[payer_id].spent += tokens
        self.people[creator_id].earned += tokens - fee
        self.fee_tokens += fee

    @property
    def house(self) -> dict[str, int]:
        """The sums of the house's accounts."""
        everybody = self.people.values()
        paid = [payment for person in everybody for payment in person.payments if payment.is_paid]
        fees, lost = sum(payment.fees for payment in paid), sum(person.lost_cents for person in everybody)
        kept = sum(payment.cents - payment.returned for payment in paid)
        issued = sum(person.position + person.spent for person in everybody)
        sums = {"issued": -issued, "fee": self.fee_tokens, "stripe": kept - fees, "stripe_fees": fees, "loss": lost}
        return {name: number for name, number in (sums | {"token_liability": -kept - lost}).items() if number}


def round_half_up(number: int, by: int) -> int:
    return (2 * number + by) // (2 * by)
