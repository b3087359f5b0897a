"""What tokens are sold in, and what they cost. The one place that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FEE_PERCENT: Final = 20  # of what a creator is paid in tokens, rounded down


@dataclass(frozen=True, slots=True)
class Package:
    id: str
    tokens: int
    price_cents: int
    currency: str = "usd"


PACKAGES: Final = {
    package.id: package
    for package in (
        Package("t100", 100, 999),
        Package("t500", 500, 4499),
        Package("t1000", 1000, 7999),
        Package("t5000", 5000, 34999),
    )
}


def fee_of(tokens: int) -> int:
    """The house's part of a charge, in tokens."""
    return tokens * FEE_PERCENT // 100
