"""Where the local parts leave something, if they leave something."""

from __future__ import annotations

from pathlib import Path

from tools.local.places import BASE, MEMORY


def ours() -> set[Path]:
    """What stands there of ours now."""
    return {path for base in (BASE, MEMORY) if base.exists() for path in base.glob("digis-*")}
