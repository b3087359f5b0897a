"""How long each kind of value is fresh, and how long it is kept. The one place that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.upstash import keys


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. `soft`: served without question. `hard`: kept, to be served stale while one caller refreshes it or
    while the truth is out of reach. `absent`: how long it is remembered that there is nothing. `patient`: nobody is
    served a stale value while another refreshes it; they wait, as for one that is missing."""

    soft: int
    hard: int
    absent: int = 30
    patient: bool = False


PROFILES: Final = Times(soft=60, hard=keys.SHORT)
LISTS: Final = Times(soft=60, hard=keys.SHORT)
ANALYTICS: Final = Times(soft=keys.MEDIUM, hard=keys.LONG)
BALANCES: Final = Times(soft=30, hard=keys.SHORT, patient=True)  # money: 30 s old at most, unless Postgres is out
SESSIONS: Final = Times(soft=keys.SHORT, hard=keys.DAY)  # stale ones are never served: soft is how long one is believed
USERS: Final = Times(soft=keys.SHORT, hard=keys.MEDIUM)

# A lease outlives the slowest load (a transaction's 3 s and a trip), and little more: its holder may have been killed.
LEASE_MS: Final = 5000
