"""A place to put a data directory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def private() -> Iterator[Path]:
    """A data directory with a space in its path, inside a directory that only its owner can enter."""
    with tempfile.TemporaryDirectory(prefix="digis-test-") as name:
        yield Path(name) / "data of mine"
