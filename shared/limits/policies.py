"""The eight policies: who may do how much, how often, and what happens when Upstash is out.

Every quota is here and nowhere else. A tier says what is keyed: `ip` slows one address, `account` one target of
guesses however many addresses guess, `user` one signed-in person wherever they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Tier(StrEnum):
    IP = "ip"
    ACCOUNT = "account"  # HMAC of the normalised e-mail that a sign-in names
    USER = "user"
    USER_ELSE_IP = "user_else_ip"  # the user where there is a session, else the address


class WhenOut(StrEnum):
    CLOSED = "closed"  # 503: guessing and money are never unlimited
    LOCAL = "local"  # a memory limiter with the same quota stands in


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `quota` requests in any `window` seconds, weighed over two buckets, in each tier."""

    name: str
    quota: int
    window: int
    tiers: tuple[Tier, ...]
    when_out: WhenOut

    @property
    def window_ms(self) -> int:
        return self.window * 1000


AUTH: Final = Policy("auth", 5, 900, (Tier.IP, Tier.ACCOUNT), WhenOut.CLOSED)
PAYMENT: Final = Policy("payment", 10, 60, (Tier.IP, Tier.USER), WhenOut.CLOSED)
TOKEN: Final = Policy("token", 20, 3600, (Tier.IP, Tier.USER), WhenOut.CLOSED)
STREAMING: Final = Policy("streaming", 100, 60, (Tier.USER_ELSE_IP,), WhenOut.LOCAL)
UPLOAD: Final = Policy("upload", 30, 3600, (Tier.USER,), WhenOut.LOCAL)
ANALYTICS: Final = Policy("analytics", 200, 60, (Tier.USER,), WhenOut.LOCAL)
API: Final = Policy("api", 300, 60, (Tier.USER_ELSE_IP,), WhenOut.LOCAL)
PUBLIC: Final = Policy("public", 1000, 60, (Tier.IP,), WhenOut.LOCAL)

# Of those who guess an operator's token: by address alone, whatever their body claims.
OPERATOR_GUESSES: Final = replace(AUTH, tiers=(Tier.IP,))

ALL: Final = (AUTH, PAYMENT, TOKEN, STREAMING, UPLOAD, ANALYTICS, API, PUBLIC)
