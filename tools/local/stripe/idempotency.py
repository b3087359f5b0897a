"""Stripe's idempotency: the first answer under a key is every answer under it, for 24 hours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import StripeRefused, invalid
from tools.local.stripe.store import Json

KEPT_SECONDS: Final = 24 * 3600  # after the first use
_MAX_KEY: Final = 255


@dataclass(frozen=True)
class Stored:
    status: int
    body: Json
    request_id: str  # of the request that it was first the answer to


class Idempotency:
    """`begin`, execute, `keep` or not, `end`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._executing: set[str] = set()

    def begin(self, key: str, path: str, params: Mapping[str, Any]) -> Stored | None:
        """The answer to repeat, or None when this is the first. Raise Stripe's 400 and 409."""
        if len(key) > _MAX_KEY:
            raise invalid(f"Idempotency keys have at most {_MAX_KEY} characters.")
        self._prune()
        fingerprint = _fingerprint(params)
        record = self._records.get(key)
        if record is not None and record["path"] != path:
            raise _misused(f"the same endpoint they were first used for ('{record['path']}')", key)
        if record is not None and record["fingerprint"] != fingerprint:
            raise _misused("the same parameters they were first used with", key)
        if key in self._executing:
            raise StripeRefused(
                409,
                "idempotency_error",
                f"There is currently another in-progress request using this Idempotency Key ({key}).",
                code="idempotency_key_in_use",
                is_stored=False,
            )
        if record is not None and record["status"]:
            return Stored(record["status"], record["body"], record["request_id"])
        self._executing.add(key)
        first_used = self._account.clock()
        self._records[key] = {"id": key, "path": path, "fingerprint": fingerprint, "at": first_used, "status": 0}
        return None

    def keep(self, key: str, status: int, body: Json, request_id: str) -> None:
        """Have this be the answer from now on."""
        kept = {**self._records[key], "status": status, "body": body, "request_id": request_id}
        self._account.store.put("idempotency", kept)

    def end(self, key: str) -> None:
        """Let go of the key; without a trace, if nothing was kept."""
        self._executing.discard(key)
        record = self._records.get(key)
        if record is not None and not record["status"]:
            del self._records[key]

    @property
    def _records(self) -> dict[str, Json]:
        return self._account.store.tables["idempotency"]

    def _prune(self) -> None:
        oldest = self._account.clock() - KEPT_SECONDS
        for key in [key for key, record in self._records.items() if record["at"] <= oldest]:
            if key not in self._executing:
                self._account.store.remove("idempotency", key)


def _fingerprint(params: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def _misused(rule: str, key: str) -> StripeRefused:
    message = (
        f"Keys for idempotent requests can only be used with {rule}. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return StripeRefused(400, "idempotency_error", message, is_stored=False)
