"""One run of reconcile: its figures, and its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

RUN_SECONDS: Final = 14.0  # then nothing more is begun


@dataclass(slots=True)
class Run:
    """The figures of one run, and its time. `ends` is when the present step begins nothing more."""

    resumed: int = 0
    settled: int = 0
    failed: int = 0
    drained: int = 0
    purged: int = 0
    ended: int = 0  # streams
    began: float = field(default_factory=time.monotonic)
    ends: float = 0.0

    def time_is_up(self) -> bool:
        return time.monotonic() >= self.ends

    def share_time(self, part: float) -> None:
        """Each step may take its part of what is left: one that has too much to do does not starve the others."""
        now = time.monotonic()
        self.ends = now + max(self.began + RUN_SECONDS - now, 0.0) * part
