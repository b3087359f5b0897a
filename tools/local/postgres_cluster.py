"""Where a cluster is kept, and where it is while it runs.

Started by an ordinary user it is in the data directory all along. Started by root it runs as `nobody`, who may not
reach the data directory: while it runs it stands under /var/tmp, and is moved back when it stops. After a kill it
is found there at the next start.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tools.local.places import BASE, RunDirectory
from tools.local.process import StartFailed, User

ROLES: Final = ("admin", "owner", "app")
_TOKEN_FILE: Final = "digis-cluster"  # noqa: S105 -- the name of a file


@dataclass(frozen=True, slots=True)
class ClusterHome:
    """The files of one cluster. `kept` is where it rests, `cluster` where it is while it runs."""

    cluster: Path
    kept: Path
    log: Path
    passwords: dict[str, str]
    run: RunDirectory | None = None  # of a temporary cluster, which is gone with it

    @classmethod
    def open(cls, directory: Path, user: User | None, *, temporary: bool) -> ClusterHome:
        """Bring the cluster of `directory` to where it runs; a `temporary` one begins empty and is not kept."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = _Identity.of(directory)
        kept = directory / "postgres"
        log = directory / "postgres.log"
        if temporary:
            run = RunDirectory(in_memory=True)
            if user is not None:
                run.give_to(user)
            return cls(run.path / "cluster", run.path / "cluster", log, identity.passwords, run)
        if user is None:
            return cls(kept, kept, log, identity.passwords)
        running = BASE / f"digis-postgres-{sha256(str(directory.resolve()).encode()).hexdigest()[:16]}"
        home = cls(running / "cluster", kept, log, identity.passwords)
        home._move_in(running, identity.token, user)
        return home

    def empty_directory(self, user: User | None) -> Path:
        """A place beside the cluster's own in which to make it."""
        fresh = self.cluster.with_name("cluster.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if user is not None:
            os.chown(fresh, user.uid, user.gid)
        return fresh

    def close(self) -> None:
        """Move the cluster back to where it rests, or remove a temporary one."""
        if self.run is not None:
            self.run.remove()
        if self.cluster == self.kept:
            return
        if self.cluster.exists():
            shutil.move(self.cluster, self.kept)
        shutil.rmtree(self.cluster.parent, ignore_errors=True)

    def _move_in(self, running: Path, token: str, user: User) -> None:
        if running.is_symlink() or (running.exists() and not _is_ours(running)):
            raise StartFailed(f"{running} is in the way and not ours: remove it")
        _sweep()
        if not running.exists():
            running.mkdir(mode=0o711)
            (running / _TOKEN_FILE).write_text(
                json.dumps({"token": token, "directory": str(self.kept.parent.resolve())})
            )
            if self.kept.exists():
                shutil.move(self.kept, self.cluster)
                for path in (self.cluster, *self.cluster.rglob("*")):
                    os.lchown(path, user.uid, user.gid)


@dataclass(frozen=True, slots=True)
class _Identity:
    """What stays the same over restarts: who this cluster is, and its roles' passwords."""

    token: str
    passwords: dict[str, str]

    @staticmethod
    def token_of(directory: Path) -> str | None:
        try:
            return str(json.loads((directory / "postgres.json").read_text())["token"])
        except FileNotFoundError:
            return None

    @classmethod
    def of(cls, directory: Path) -> _Identity:
        file = directory / "postgres.json"
        if not file.exists():
            fresh = {"token": secrets.token_hex(16), "passwords": {r: secrets.token_hex(16) for r in ROLES}}
            file.touch(0o600)
            file.write_text(json.dumps(fresh))
        return cls(**json.loads(file.read_text()))


def _sweep() -> None:
    """Remove the clusters of killed runs whose data directory has been removed, or begun anew, since."""
    for running in BASE.glob("digis-postgres-*"):
        try:
            owner = json.loads((running / _TOKEN_FILE).read_text())
            if _is_ours(running) and _Identity.token_of(Path(owner["directory"])) != owner["token"]:
                shutil.rmtree(running)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another process is at it, or it is not ours to judge


def _is_ours(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
