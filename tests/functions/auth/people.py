"""People who use sign-in over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from shared.limits.gate import blocked
from tools.local.mailbox import Mailbox
from tools.local.rest.server import RestServer


async def forget_limits(rest: RestServer) -> None:
    """As if a quarter of an hour had passed, for the limits alone."""
    if found := await rest.command("KEYS", "rate:*"):
        await rest.command("DEL", *(key.decode() for key in found))
    blocked.clear()


_numbers: Iterator[int] = count(1)


@dataclass
class Person:
    """Somebody with an e-mail address, and what they have been given."""

    http: httpx.AsyncClient
    mailbox: Mailbox
    password: str = "correct horse battery"
    username: str = field(default_factory=lambda: f"person_{next(_numbers)}")
    token: str = ""
    device_token: str = ""

    @property
    def email(self) -> str:
        return f"{self.username}@digis.test"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Session-Id": self.token}

    async def post(self, path: str, *, session: bool = False, **body: Any) -> httpx.Response:
        return await self.http.post(f"/auth/{path}", json=body, headers=self.headers if session else {})

    async def get(self, path: str = "session", *, token: str | None = None) -> httpx.Response:
        return await self.http.get(f"/auth/{path}", headers={"X-Session-Id": token or self.token})

    async def register(self, **more: Any) -> Person:
        return self._signed_in(
            await self.post("register", email=self.email, username=self.username, password=self.password, **more), 201
        )

    async def login(self, **more: Any) -> Person:
        return self._signed_in(await self.post("login", email=self.email, password=self.password, **more), 200)

    async def code(self, purpose: str = "login") -> str:
        """Ask for a code and read it in the mail."""
        answer = await self.post("otp/request", email=self.email, purpose=purpose)
        assert answer.status_code == 202, answer.text
        return self.mailed_code()

    def mailed_code(self) -> str:
        newest = next(one for one in self.mailbox.messages if one.to == self.email)
        (digits,) = re.findall(r"(?<!\d)\d{6}(?!\d)", newest.text)
        return str(digits)

    async def verify(self, code: str, purpose: str = "login", *, session: bool = False) -> httpx.Response:
        return await self.post("otp/verify", session=session, email=self.email, purpose=purpose, code=code)

    def _signed_in(self, answer: httpx.Response, status: int) -> Person:
        assert answer.status_code == status, answer.text
        self.token, self.device_token = answer.json()["session"]["token"], answer.json()["device_token"]
        return self
