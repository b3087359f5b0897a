"""Whom a tier counts: the address, the account that a sign-in names, or the signed-in user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import Request
from pydantic_core import from_json

from shared import devices
from shared.http.identity import client_address
from shared.http.problems import Unauthenticated
from shared.limits.policies import Policy, Tier
from shared.upstash import keys

UserOf = Callable[[Request], str | None]  # the user's id, known without a trip; None for nobody

_USER_TIERS: Final = {Tier.USER, Tier.USER_ELSE_IP}


class Tiers:
    """The tiers of a policy as keys of one request. A bucket keeps a policy's operations apart."""

    def __init__(self, policy: Policy, bucket: str | None, user_of: UserOf | None) -> None:
        if Tier.USER in policy.tiers and user_of is None:
            raise ValueError(f"{policy.name} counts users: its gate must know how to tell who calls")
        self._tiers = policy.tiers
        self._family = policy.name if bucket is None else f"{policy.name}.{bucket}"
        self._user_of = user_of

    async def keys(self, request: Request) -> list[str]:
        """One key a tier; a tier without an identity has none. Raise Unauthenticated where a user is a must."""
        user = self._user_of(request) if self._user_of else None
        if user is None and Tier.USER in self._tiers:
            raise Unauthenticated
        email, device = await _account(request) if Tier.ACCOUNT in self._tiers else (None, None)
        if device is not None:
            return [self._key("device", device)]  # known to the account: strangers use up the other tiers
        found = []
        for tier in self._tiers:
            if tier in _USER_TIERS and user is not None:
                found.append(self._key(Tier.USER, user))
            elif tier is Tier.ACCOUNT:
                if email is not None:
                    found.append(self._key(Tier.ACCOUNT, keys.personal("email", email)))
            else:
                found.append(self._key(Tier.IP, keys.personal("ip", client_address(request.scope))))
        return found

    def _key(self, tier: str, identity: str) -> str:
        return keys.key(keys.RATE, self._family, tier, identity)


async def _account(request: Request) -> tuple[str | None, str | None]:
    """The e-mail in the body, and the device that a token there proves; None for what validation will complain of."""
    try:
        body = from_json(await request.body())
    except ValueError:
        return None, None
    email = body.get("email") if isinstance(body, dict) else None
    if not isinstance(email, str):
        return None, None
    email = email.strip().lower()
    return email, devices.device_of(body.get("device_token"), email)
