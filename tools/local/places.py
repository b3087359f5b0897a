"""Where the local services may live: short, private directories that a service's own user can reach.

A Unix socket's path is limited to about 100 bytes and a checkout's is not. Postgres refuses to run as root, and
the `nobody` that it then runs as cannot reach a 0700 home. So sockets, and all that a root-started Postgres
needs, stand in directories of our own under /var/tmp; each is removed when its process stops, and swept by the
next one when that process was killed.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import IO, Final

from tools.local.process import User

BASE: Final = Path("/var/tmp")  # noqa: S108 -- made with mkdtemp, checked for its owner before it is swept
MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- likewise; where there is one, a test's database is ten times faster
_MEMORY_BYTES: Final = 2 * 1024**3  # free there before it is used: a container's is often too small for a database
_PREFIX: Final = "digis-run-"
_OWNER_FILE: Final = "owner"
_YOUNG_SECONDS: Final = 60.0  # a directory without a locked owner may be one that is just being made


class RunDirectory:
    """A private directory for as long as this process lives. The lock on its owner file says that it does."""

    def __init__(self, *, in_memory: bool = False) -> None:
        sweep()
        base = MEMORY if in_memory and _memory_is_roomy() else BASE
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self._owner: IO[str] = (self.path / _OWNER_FILE).open("w")
        fcntl.flock(self._owner, fcntl.LOCK_EX)

    def give_to(self, user: User) -> None:
        os.chown(self.path, user.uid, user.gid)

    def remove(self) -> None:
        """Remove it with all that is in it. Calling twice is harmless."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._owner.close()


def sweep() -> None:
    """Remove the directories of our own processes that were killed before they could."""
    for path in (path for base in (BASE, MEMORY) for path in base.glob(f"{_PREFIX}*")):
        try:
            if _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # another process sweeps it at this moment, or it is not ours to touch


def service_user() -> User | None:
    """Whom a service must run as: `nobody` when we are root, ourselves (None) otherwise."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return User(65534, 65534)
    return User(nobody.pw_uid, nobody.pw_gid)


def is_reachable_by_all(path: Path) -> bool:
    """Whether every directory on the way to `path`, and it, lets everyone in."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _memory_is_roomy() -> bool:
    try:
        return os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= _MEMORY_BYTES
    except OSError:
        return False


def _is_abandoned(path: Path) -> bool:
    status = path.lstat()
    ours = {os.geteuid(), user.uid if (user := service_user()) else os.geteuid()}
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in ours:
        return False
    try:
        with (path / _OWNER_FILE).open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return time.time() - status.st_mtime > _YOUNG_SECONDS
