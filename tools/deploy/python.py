"""The Python that is deployed. Bytecode is made by it alone: another's would be thrown away at the first import."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

VERSION: Final = "3.13"
OVERRIDE: Final = "DIGIS_PYTHON_DEPLOYED"


class PythonMissing(RuntimeError):
    """There is no Python of the deployed version; the message says what to do."""


@lru_cache(maxsize=1)
def find_python() -> Path:
    """The override, else one on the PATH, else one of pyenv's. Raise PythonMissing."""
    override = os.environ.get(OVERRIDE)
    for candidate in [Path(override)] if override else _candidates():
        if _version(candidate) == VERSION:
            return candidate
    raise PythonMissing(f"no Python {VERSION} is here to make bytecode with: install it, or set {OVERRIDE} to its path")


def _candidates() -> Iterator[Path]:
    on_path = shutil.which(f"python{VERSION}")
    if on_path is not None:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    # The variable may still name the home of whoever this shell was before: a home that is closed is no error.
    with suppress(PermissionError):
        yield from sorted(pyenv.glob(f"versions/{VERSION}*/bin/python"), reverse=True)


def _version(python: Path) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        shown = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()
