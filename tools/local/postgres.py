"""A real Postgres of one's own: no account, no container, no root.

`launch` returns as soon as the server is started, so that other services can start beside it; `ready` waits, and
makes the roles and the database the first time.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, urlencode

import asyncpg

from tools.local.places import RunDirectory, is_reachable_by_all, service_user
from tools.local.postgres_binaries import Binaries, find_binaries
from tools.local.postgres_cluster import ClusterHome
from tools.local.process import Child, StartFailed, User, spawn

START_SECONDS: Final = 30.0  # crash recovery of a laptop's database, on a busy machine
INITDB_SECONDS: Final = 60.0
PORT: Final = 5432  # of the socket's name only: it listens on no network
ADMIN: Final = "postgres"

Role = Literal["app", "owner", "admin"]
_ROLE_NAMES: Final[dict[str, str]] = {"app": "digis_app", "owner": "digis_owner", "admin": ADMIN}

_BEFORE_READY: Final = (OSError, asyncpg.CannotConnectNowError)


class LocalPostgres:
    """A running cluster: reached by a Unix socket in a private directory, with a password for each role."""

    def __init__(self, home: ClusterHome, run: RunDirectory, child: Child, version: str) -> None:
        self._home = home
        self._run = run
        self._child = child
        self.version = version

    @classmethod
    def launch(cls, directory: Path, *, temporary: bool = False) -> LocalPostgres:
        """Start the cluster kept in `directory`, making it first if need be.

        A `temporary` one is fast rather than safe, and gone when it stops. Raise PostgresMissing or StartFailed.
        """
        binaries = find_binaries()
        run = RunDirectory()
        try:
            user = service_user()
            if user is not None:
                run.give_to(user)
                if not is_reachable_by_all(binaries.directory):
                    binaries = binaries.copy_to(run.path)
            home = ClusterHome.open(directory, user, temporary=temporary)
            try:
                if not home.cluster.exists():
                    _initdb(binaries, home, run.path, user)
                child = spawn(
                    "postgres",
                    [binaries.directory / "postgres", "-D", home.cluster, *_settings(run.path, temporary=temporary)],
                    log=home.log,
                    stop_signal=signal.SIGINT,  # Postgres's fast shutdown: sessions are ended, data is safe
                    user=user,
                    cwd=run.path,
                )
            except BaseException:
                home.close()
                raise
        except BaseException:
            run.remove()
            raise
        return cls(home, run, child, binaries.version)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def socket(self) -> Path:
        return self._run.path / f".s.PGSQL.{PORT}"

    async def ready(self) -> None:
        """Wait until it serves; make roles and database the first time. Raise StartFailed."""
        await self._child.until(self._serves, seconds=START_SECONDS)

    def stop(self) -> None:
        """Stop it, and take everything away that was only for this run."""
        self._child.stop()
        self._home.close()
        self._run.remove()

    def url(self, database: str = "digis", role: Role = "app", *, tcp_port: int | None = None) -> str:
        """A DSN by the socket, or by a proxy on loopback that leads to it."""
        user = f"{_ROLE_NAMES[role]}:{quote(self._home.passwords[role])}"
        if tcp_port is not None:
            return f"postgresql://{user}@127.0.0.1:{tcp_port}/{database}?sslmode=disable"
        place = urlencode({"host": str(self._run.path), "port": PORT})
        return f"postgresql://{user}@/{database}?{place}"

    async def create_database(self, name: str, *, template: str | None = None) -> None:
        """A database owned by the owner role; from a `template` that nobody is connected to, in milliseconds."""
        # FILE_COPY: a third of the time that writing every block to the log takes.
        source = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        await self._as_admin(f'CREATE DATABASE "{name}" OWNER digis_owner{source}')

    async def drop_database(self, name: str) -> None:
        await self._as_admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _as_admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres", "admin"), timeout=5)
        try:
            await connection.execute(statement, timeout=30)
        finally:
            await connection.close(timeout=5)

    async def _serves(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres", "admin"), timeout=5)
        except _BEFORE_READY:
            return False
        try:
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'digis'"):
                await self._prepare(connection)
        finally:
            await connection.close(timeout=5)
        return True

    async def _prepare(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Functions connect as digis_app, who can do what migrations grant to digis_functions and no more."""
        owner, app = (self._home.passwords[role] for role in ("owner", "app"))
        await connection.execute(f"""
            CREATE ROLE digis_functions NOLOGIN;
            CREATE ROLE digis_owner LOGIN CREATEDB PASSWORD '{owner}';
            CREATE ROLE digis_app LOGIN PASSWORD '{app}' IN ROLE digis_functions;
        """)
        await connection.execute("CREATE DATABASE digis OWNER digis_owner")


def _initdb(binaries: Binaries, home: ClusterHome, run: Path, user: User | None) -> None:
    """Make the cluster beside its place and move it in when it is whole: a killed initdb leaves no half of one."""
    fresh = home.empty_directory(user)
    password = run / "password"
    password.touch(0o600)
    password.write_text(home.passwords["admin"])
    if user is not None:
        shutil.chown(password, user.uid, user.gid)
    command: list[str | Path] = [
        *(binaries.directory / "initdb", "--pgdata", fresh, "--username", ADMIN, "--pwfile", password),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
    ]
    made = subprocess.run(
        command,
        cwd=run,
        user=None if user is None else user.uid,
        group=None if user is None else user.gid,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        timeout=INITDB_SECONDS,
        check=False,
    )
    password.unlink()
    if made.returncode != 0:
        raise StartFailed(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
    fresh.rename(home.cluster)


def _settings(run: Path, *, temporary: bool) -> list[str]:
    settings = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": run,
        "unix_socket_permissions": "0700",
        "max_connections": 100,
        "shared_buffers": "32MB",
        "wal_level": "minimal",
        "max_wal_senders": 0,
        "jit": "off",
        "dynamic_shared_memory_type": "mmap",  # in the cluster: a killed server leaves nothing in /dev/shm
        "timezone": "UTC",
        "log_min_messages": "warning",
    }
    if temporary:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
