# ruff: noqa: S608 -- SQL put together from constants
"""Time that passes without being waited for.

No clock is moved on: all that has happened is moved back instead, in Postgres, at Stripe (which forgets the keys that
are a day old by then) and in Redis. Of a moment nothing is asked but how long ago it was, so nobody can tell that from
having waited. What a process has in its memory cannot be moved: whoever lives through it is told by a file how much
later it is, and adds that to its wall clock. The demo's rows stay as old as they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import asyncpg

from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

DAY: Final = 25 * 3600 + 60  # and a bit: Stripe's keys are forgotten, and what was sent is listed, if ever

_MOMENTS: Final = {
    "payouts": ("created_at", "due_at", "first_sent_at", "sent_at"),
    "payout_accounts": ("created_at",),
    "payout_movements": ("created_at",),
    "house_movements": ("created_at",),
    "purchases": ("created_at", "due_at"),
    "purchase_movements": ("created_at",),
    "charges": ("created_at",),
    "stripe_events": ("received_at",),
    "idempotency_keys": ("created_at", "claimed_until"),
    "cache_outbox": ("created_at",),
    "ledger_transfers": ("created_at",),
    "ledger_postings": ("created_at",),
    "reconcile_marks": ("at",),
}
_NEVER_CHANGE: Final = ("ledger_transfers", "ledger_postings")
_STRIPES: Final = ("created", "available_on", "at")


@dataclass
class Clock:
    """Of one world. `file` has the seconds that have passed."""

    file: Path
    _owner: asyncpg.Connection[Any]
    _stripe: FakeStripe
    _rest: RestServer
    _began: datetime
    _passed: int = field(default=0)

    @classmethod
    async def begin(cls, file: Path, owner: asyncpg.Connection[Any], stripe: FakeStripe, rest: RestServer) -> Self:
        clock = cls(file, owner, stripe, rest, await owner.fetchval("SELECT clock_timestamp()"))
        clock._write()
        return clock

    async def passes(self, seconds: int, *, watched: bool = False) -> None:
        """So much later. `watched`: reconcile ran every minute meanwhile, and there was nothing to find."""
        if seconds:
            async with self._owner.transaction():
                await self._owner.execute(self._moving(seconds), timeout=30)
            self._move_stripe(seconds)
            await self._move_redis(seconds * 1000)
            self._passed += seconds
            self._write()
        if watched:
            await self._owner.execute("UPDATE reconcile_marks SET at = now() WHERE name = 'entries'")

    def _write(self) -> None:
        self.file.write_text(str(self._passed))

    def _moving(self, seconds: int) -> str:
        """SQL. What was there when the world began stays as old as it is."""
        statements = [f"ALTER TABLE {table} DISABLE TRIGGER USER;" for table in _NEVER_CHANGE]
        for table, moments in _MOMENTS.items():
            changes = ", ".join(f"{name} = {name} - interval '{seconds} seconds'" for name in moments)
            is_new = f"{moments[0]} > timestamptz '{self._began}' - interval '{self._passed} seconds'"
            where = "" if table == "reconcile_marks" else f"WHERE {is_new}"
            statements.append(f"UPDATE {table} SET {changes} {where};")
        statements += [f"ALTER TABLE {table} ENABLE TRIGGER USER;" for table in _NEVER_CHANGE]
        return "\n".join(statements)

    def _move_stripe(self, seconds: int) -> None:
        for table in self._stripe._account.store.tables.values():
            for one in table.values():
                one.update({name: one[name] - seconds for name in _STRIPES if isinstance(one.get(name), int | float)})

    async def _move_redis(self, milliseconds: int) -> None:
        for key in await self._rest.command("KEYS", "*"):
            left = int(await self._rest.command("PTTL", key.decode()))
            if left > 0:
                await self._rest.command("PEXPIRE", key.decode(), str(left - milliseconds))  # below zero it is gone
