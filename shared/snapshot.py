"""SnapStart: Lambda takes a snapshot of a process after init and wakes up as many copies as it likes, days later.

At init nothing is connected and nothing random is drawn, so a copy has nothing to share with its twins. What it must
not keep is what was read: settings, whose secrets may have rotated since, and what was made of them.
"""

from __future__ import annotations

import os
import random

from shared import telemetry
from shared.postgres.pool import database
from shared.settings import settings
from shared.upstash.client import upstash


def register() -> None:
    """Called at init on Lambda. Without SnapStart there is nothing to do, nor the runtime's hooks to do it with."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415 -- part of Lambda's runtime

        register_after_restore(restored)


def restored() -> None:
    """Before the first request of a copy. Raise SettingsInvalid, as init would: Lambda then tries another copy."""
    random.seed()  # ours is the system's randomness; this is for what the dependencies draw
    forget()
    settings()


def forget() -> None:
    """Forget the settings and the clients that were made from them; the next use makes them again."""
    for remembered in (settings, upstash, database, telemetry.logger):
        remembered.cache_clear()
