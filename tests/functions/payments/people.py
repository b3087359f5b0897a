"""People who buy and spend tokens over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from tools.local.demo import demo_id
from tools.local.stripe.server import FakeStripe

_keys: Iterator[int] = count(1)


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return f"key-{next(_keys)}"


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["code"]


@dataclass(frozen=True)
class Buyer:
    """Somebody who is signed in, in front of the functions and the fake Stripe."""

    http: httpx.AsyncClient
    stripe: FakeStripe
    username: str
    token: str

    @property
    def user_id(self) -> str:
        return str(demo_id(self.username))

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Session-Id": self.token}

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(f"/payments/{path}", params=query, headers=self.headers)

    async def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "Idempotency-Key": key or new_key()}
        return await self.http.post(f"/payments/{path}", json=body, headers=headers)

    async def purchase(self, package: str = "t100", key: str | None = None) -> httpx.Response:
        return await self.post("tokens/purchase", {"package_id": package}, key)

    async def charge(
        self, creator: str, tokens: int, key: str | None = None, kind: str = "tip", **more: Any
    ) -> httpx.Response:
        body = {"creator_id": str(demo_id(creator)), "tokens": tokens, "kind": kind, **more}
        return await self.post("charge", body, key)

    async def begin(self, package: str = "t100") -> dict[str, Any]:
        """A pending purchase, with the id of its payment as `payment_intent`."""
        answer = await self.purchase(package)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["purchase"]
        return made | {"payment_intent": made["client_secret"].partition("_secret_")[0]}

    async def buy(self, package: str = "t100") -> dict[str, Any]:
        """A purchase that is paid, and whose webhooks have arrived, where they do."""
        made = await self.begin(package)
        self.stripe.confirm(made["payment_intent"])
        await self.stripe.delivered()
        return made

    async def purchase_status(self, purchase_id: str) -> str:
        return str((await self.get(f"purchases/{purchase_id}")).json()["purchase"]["status"])

    async def balance(self) -> dict[str, int]:
        answer = await self.get("balance")
        assert answer.status_code == 200, answer.text
        found: dict[str, int] = answer.json()["balance"]
        return found

    async def tokens(self) -> int:
        """What is in the wallet, less what is owed."""
        found = await self.balance()
        return found["tokens"] - found["owed_tokens"]
