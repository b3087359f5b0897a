"""One-time codes: six digits by mail, kept in Redis as an HMAC, and hardly guessable.

Storage and judgement alone: who is mailed, and what a right code is good for, others decide. A code lives ten
minutes. Five wrong tries in a quarter of an hour close an address and purpose, and a new code opens nothing; twenty
in a day close it for the day. Codes go out a minute apart, five an hour.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from shared.settings import settings
from shared.upstash import keys
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError, UpstashUnavailable
from shared.upstash.scripts import CLOCK, Script

TRIES: Final = 5
TRIES_SECONDS: Final = 900
WRONG_A_DAY: Final = 20
RESEND_SECONDS: Final = 60
SENT_AN_HOUR: Final = 5
DIGITS: Final = 6

_LUA: Final = Path(__file__).parent / "lua"
_ISSUE: Final = Script.read(CLOCK, _LUA / "otp_issue.lua")
_DISCARD: Final = Script.read(_LUA / "otp_discard.lua")
_VERIFY: Final = Script.read(_LUA / "otp_verify.lua")


class Purpose(StrEnum):
    """What a code is for. A code for one is none for another."""

    LOGIN = "login"
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 -- a purpose, not a password


@dataclass(frozen=True, slots=True)
class Code:
    """A code for one address and purpose. `digits` is to be mailed, and is nowhere else."""

    purpose: Purpose
    email: str
    digits: str

    @property
    def mac(self) -> str:
        return mac(self.purpose, self.email, self.digits)


def ttl_seconds(purpose: Purpose) -> int:
    """How long a code is good."""
    return _prefix(purpose).ttl or 0


def mac(purpose: Purpose, email: str, digits: str) -> str:
    """What is stored of a code: nothing that all million codes could be tried against without the pepper."""
    text = f"{purpose}\0{email}\0{digits}".encode()
    return hmac.digest(settings().otp_pepper.encode(), text, sha256).hex()


async def issue(purpose: Purpose, email: str) -> Code | None:
    """A new code in the place of an older one; None when one went out less than a minute ago, or five this hour.

    Raise UpstashUnavailable, UpstashRefused or CommandFailed: then no code was issued, or nobody will ever know it.
    """
    code = Code(purpose, email, f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}")
    places = _places(purpose, email)
    issued = await _run(
        _ISSUE(
            [places["code"], places["sent"]],
            *(code.mac, ttl_seconds(purpose) * 1000, RESEND_SECONDS * 1000, SENT_AN_HOUR, keys.LONG * 1000),
        )
    )
    return code if issued == 1 else None


async def discard(code: Code) -> None:
    """Nobody was mailed: the code is dead, and counts neither for the minute nor for the hour. Raise UpstashError."""
    places = _places(code.purpose, code.email)
    await _run(_DISCARD([places["code"], places["sent"]], code.mac))


async def consume(purpose: Purpose, email: str, digits: str) -> bool:
    """Whether these are the digits of a live code, which is then used up. Raise UpstashError.

    Judged and consumed in one script: of many who are right at once, one is.
    """
    places = _places(purpose, email)
    answer = await _run(
        _VERIFY(
            [places["code"], places["tries"], places["day"]],
            *(mac(purpose, email, digits), TRIES, TRIES_SECONDS * 1000, WRONG_A_DAY, keys.DAY * 1000),
        )
    )
    return bool(answer == 1)


async def _run(call: Any) -> Any:
    client = upstash()
    if client is None:
        raise UpstashUnavailable("not configured", maybe_applied=False)
    (answer,) = await client.run(call)
    if isinstance(answer, UpstashError):
        raise answer
    return answer


def _prefix(purpose: Purpose) -> keys.Prefix:
    return keys.EMAIL if purpose is Purpose.VERIFY_EMAIL else keys.OTP


def _places(purpose: Purpose, email: str) -> dict[str, str]:
    account = keys.personal("email", email)
    return {name: keys.key(_prefix(purpose), purpose, account, name) for name in ("code", "sent", "tries", "day")}
