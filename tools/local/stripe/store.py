"""Every object of the account by kind and id, and the file that they outlive a restart in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, TextIO

Json = dict[str, Any]

KINDS: Final = (
    *("payment_intent", "payment_method", "charge", "refund", "dispute", "balance_transaction", "event"),
    *("account", "transfer", "transfer_reversal", "topup"),
    *("idempotency", "follow_up", "account_link"),  # the fake's own: Stripe gives an account link no id
)


class Store:
    """Tables of dicts in the order in which they were made.

    With a file, each `commit` appends one line with all that changed since the last, so that a change is there whole
    or not at all; opening reads the lines again, leaves out one that was cut off, and writes the file anew.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.tables: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        self._file = file
        self._journal: TextIO | None = None
        self._changed: dict[tuple[str, str], None] = {}

    def open(self) -> None:
        """Read what an earlier process left. Raise OSError when the file cannot be read or written."""
        if self._file is None or self._journal is not None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            self._read(self._file)
        compact = self._file.with_name(f"{self._file.name}.new")
        everything = [[kind, key, value] for kind, table in self.tables.items() for key, value in table.items()]
        compact.write_text(f"{json.dumps(everything)}\n", encoding="utf-8")
        compact.replace(self._file)
        self._journal = self._file.open("a", encoding="utf-8")
        self.commit()

    def close(self) -> None:
        self.commit()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def put(self, kind: str, value: Json) -> None:
        """Add the object, or say that it was changed."""
        self.tables[kind][value["id"]] = value
        self._changed[kind, value["id"]] = None

    def remove(self, kind: str, key: str) -> None:
        if self.tables[kind].pop(key, None) is not None:
            self._changed[kind, key] = None

    def commit(self) -> None:
        """Write what changed. Flushed, not synced: it outlives the process, not the machine."""
        if self._journal is not None and self._changed:
            line = [[kind, key, self.tables[kind].get(key)] for kind, key in self._changed]
            self._journal.write(f"{json.dumps(line)}\n")
            self._journal.flush()
        self._changed.clear()

    def _read(self, file: Path) -> None:
        for line in file.read_text(encoding="utf-8").split("\n"):
            try:
                changes = json.loads(line or "[]")
            except ValueError:
                break  # the process ended while it wrote this, the last one
            for kind, key, value in changes:
                if value is None:
                    self.tables[kind].pop(key, None)
                else:
                    self.tables[kind][key] = value
