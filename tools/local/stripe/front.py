"""The HTTP face of the server, as a raw ASGI application."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from hmac import compare_digest
from typing import Final, NamedTuple

from tools.local.stripe import form, router
from tools.local.stripe.account import Account, random_letters
from tools.local.stripe.connection import Receive, Reply, Scope, Send, cut, in_json, read, send_reply
from tools.local.stripe.errors import StripeRefused, failed, invalid, unauthorized
from tools.local.stripe.faults import Faults, Mode
from tools.local.stripe.idempotency import Idempotency
from tools.local.stripe.onboarding import visit
from tools.local.stripe.params import Params
from tools.local.stripe.resources.account_links import PAGES
from tools.local.stripe.store import Json

_KEPT_CALLS: Final = 10_000
_DOWN: Final = Reply(503, b"<html><body>Service Unavailable</body></html>", {"content-type": "text/html"})


class Seen(NamedTuple):
    """A request that came in, whatever became of it."""

    method: str
    path: str
    idempotency_key: str | None


class Front:
    """Checks the key, reads the parameters, has one endpoint execute, and answers; unless a fault is set."""

    def __init__(self, account: Account, faults: Faults, api_key: str) -> None:
        self._account = account
        self._faults = faults
        self._api_key = api_key
        self._idempotency = Idempotency(account)
        self.seen: deque[Seen] = deque(maxlen=_KEPT_CALLS)
        self.requests = 0

    @staticmethod
    def not_http() -> tuple[dict[str, str], bytes]:
        return {"content-type": "text/html"}, b"<html><body>400 Bad Request</body></html>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        if method == "GET" and path.startswith(PAGES):  # a person's browser: no request of the API, no fault
            await send_reply(send, visit(self._account, path))
            return
        key = headers.get("idempotency-key") if method == "POST" else None
        self.requests += 1
        self.seen.append(Seen(method, path, key))
        mode = self._faults.next(method, path)
        if mode is Mode.HANG:
            await self._faults.hang()
            await cut(scope, receive)
            return
        if mode is Mode.DOWN:
            await send_reply(send, _DOWN)
            return
        encoded = scope["query_string"].decode("latin-1") if method in {"GET", "DELETE"} else await read(receive)
        reply = await self._answer(mode, Seen(method, path, key), headers, encoded)
        if mode is Mode.LOST:
            await cut(scope, receive)
        elif mode is Mode.CUT:
            await send_reply(send, reply, sent=reply.body[: len(reply.body) // 2])
            await cut(scope, receive)
        else:
            await send_reply(send, reply)

    async def _answer(self, mode: Mode, seen: Seen, received: Mapping[str, str], encoded: str) -> Reply:
        request_id = f"req_{random_letters(14)}"
        headers = {"request-id": request_id}
        try:
            self._check_key(received.get("authorization", ""))
            if "stripe-account" in received:
                raise invalid("Not supported here: requests on behalf of a connected account (Stripe-Account).")
            params = Params(form.decode(encoded))
            if seen.idempotency_key is None:
                status, body = await self._execute(mode, seen, params, request_id)
            else:
                headers |= {"idempotency-key": seen.idempotency_key}
                router.find(seen.method, seen.path)
                stored = self._idempotency.begin(seen.idempotency_key, seen.path, params.given)
                if stored is not None:
                    headers |= {"idempotent-replayed": "true", "original-request": stored.request_id}
                    return in_json(stored.status, stored.body, headers)
                try:
                    status, body = await self._execute(mode, seen, params, request_id)
                finally:
                    self._idempotency.end(seen.idempotency_key)
        except StripeRefused as error:
            status, body = error.status, error.body
        if status == 500:  # noqa: PLR2004 -- the key would only repeat it
            headers["stripe-should-retry"] = "false"
        return in_json(status, body, headers)

    async def _execute(self, mode: Mode, seen: Seen, params: Params, request_id: str) -> tuple[int, Json]:
        execution = router.prepare(seen.method, seen.path, params)
        if mode is Mode.SLOW:
            await self._faults.slow()
        # From here to the return nothing awaits: whoever comes at the same time finds this whole, or not begun.
        self._account.request = {"id": request_id, "idempotency_key": seen.idempotency_key}
        try:
            status, body = self._run(mode, execution)
            if seen.idempotency_key is not None:
                self._idempotency.keep(seen.idempotency_key, status, body, request_id)
        finally:
            self._account.request = {"id": None, "idempotency_key": None}
            self._account.store.commit()
        return status, body

    def _run(self, mode: Mode, execution: router.Execution) -> tuple[int, Json]:
        try:
            if mode is Mode.ERROR_500:
                raise failed()
            return 200, execution.run(self._account)
        except StripeRefused as error:
            if not error.is_stored:
                raise
            return error.status, error.body

    def _check_key(self, authorization: str) -> None:
        kind, _, presented = authorization.partition(" ")
        if kind.lower() != "bearer" or not presented:
            raise unauthorized("You did not provide an API key. Provide it in the Authorization header: Bearer KEY.")
        if not compare_digest(presented.encode(), self._api_key.encode()):
            raise unauthorized(f"Invalid API Key provided: {presented[:8]}****")
