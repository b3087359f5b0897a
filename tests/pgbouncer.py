"""PgBouncer in transaction mode, between the functions and Postgres: Debian's, the strictest there is.

It hands each transaction another server connection, and knows no prepared statements. With DIGIS_TEST_POOLER set, every
test that goes to Postgres as the functions do goes through one.
"""

from __future__ import annotations

import os
import shutil
import socket
from urllib.parse import unquote, urlsplit

from tools.local.places import RunDirectory, service_user
from tools.local.postgres import PORT, LocalPostgres
from tools.local.process import Child, spawn

ENV = "DIGIS_TEST_POOLER"


def find_pgbouncer() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PgBouncer:
    """A running one. `log` tells of every client that connected."""

    def __init__(self, run: RunDirectory, child: Child, port: int) -> None:
        self._run = run
        self._child = child
        self.port = port

    @classmethod
    def launch(cls, postgres: LocalPostgres) -> PgBouncer:
        """Start one in front of this Postgres, as an ordinary user. It listens on a free port of loopback."""
        program = find_pgbouncer()
        assert program is not None, "Debian's pgbouncer is not installed"
        run, user, port = RunDirectory(), service_user(), _free_port()
        if user is not None:
            run.give_to(user)
        login = urlsplit(postgres.url(role="app"))
        users = run.path / "users.txt"
        users.write_text(f'"{login.username}" "{unquote(login.password or "")}"\n')
        config = run.path / "pgbouncer.ini"
        config.write_text(f"""
[databases]
* = host={postgres.socket.parent} port={PORT}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
server_idle_timeout = 5
log_connections = 1
""")
        for file in (users, config):
            if user is not None:
                shutil.chown(file, user.uid, user.gid)
        # Its log is in a directory that only it can write: it keeps its standard error.
        child = spawn("pgbouncer", [program, config], log=run.path / "log", user=user, cwd=run.path)
        return cls(run, child, port)

    @property
    def log(self) -> str:
        return (self._run.path / "log").read_text()

    async def ready(self) -> None:
        await self._child.until(self._listens, seconds=10)

    async def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._child.stop()
        self._run.remove()


def wanted() -> bool:
    return bool(os.environ.get(ENV))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
