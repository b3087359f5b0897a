"""`digis dev`: everything on one port, on real Postgres and real Redis, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import signal
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import asyncpg
import typer

from shared.settings import Settings, SettingsInvalid
from tools.cli.screen import fail, out, step, table
from tools.functions import function_names
from tools.local.env_file import DEFAULT_DATA, DEV_PORT, State, clear_state, read_state, write_state
from tools.local.listener import Listener
from tools.local.postgres_binaries import PostgresMissing
from tools.local.process import StartFailed
from tools.local.redis import RedisMissing
from tools.migrate.errors import MigrationError

if TYPE_CHECKING:
    from tools.local.stack import Stack

T = TypeVar("T")

_EXPECTED: Final = (
    *(StartFailed, PostgresMissing, RedisMissing, MigrationError, OSError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, ValueError),  # a DATABASE_URL that asyncpg makes nothing of
)
_LOCK: Final = "lock"
_OURS: Final = (
    "env",
    "dev.json",
    "identity.key",
    "session.key",
    "otp.key",
    "postgres",
    "postgres.json",
    "postgres.log",
    "redis",
    "stripe.json",
)
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the functions listen.")] = DEV_PORT,
    data: Annotated[Path, typer.Option(help="Where the databases and the settings are kept.")] = DEFAULT_DATA,
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the data of earlier runs first.")] = False,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Load the demo data.")] = True,
) -> None:
    """Run all functions on one port. Stops everything that it started on Ctrl-C."""
    try:
        Settings.read(os.environ)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (SettingsInvalid, OSError) as error:
        fail(str(error))
    was_ours = (data / _LOCK).exists()
    with _only_one(data):
        if fresh and was_ours:
            _forget(data)
        raise typer.Exit(asyncio.run(_run(port, data.resolve(), demo=demo)))


async def _run(port: int, data: Path, *, demo: bool) -> int:
    """Serve until a signal; return the exit code. Whatever happens, what was started is stopped."""
    stopped = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    from tools.local.stack import Stack  # noqa: PLC0415 -- `digis dev --help` does not wait for it

    stack = Stack(data, dict(os.environ), step, port)
    try:
        step(f"data in {data}")
        listener = await _unless(stopped, _start(stack, port, demo=demo))
        if listener is not None:
            await _serve(stack, listener, stopped)
    finally:
        await stack.stop()
    step("stopped")
    return 0


async def _start(stack: Stack, port: int, *, demo: bool) -> Listener:
    """Everything up to the listening port, which is bound last: whoever reaches it finds all of it there."""
    try:
        await stack.start(demo=demo)
    except* _EXPECTED as failures:
        fail(str(_first(failures)))
    os.environ.update(stack.env)  # what the functions read when they are imported, now
    from tools.local.gateway import Gateway, load_apps  # noqa: PLC0415

    listener = Listener(Gateway(load_apps(), stack.set_fault, stack.mailbox), port=port)
    try:
        await listener.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        fail(f"port {port} is taken: choose another with --port")
    return listener


async def _serve(stack: Stack, listener: Listener, stopped: asyncio.Event) -> None:
    base = listener.url
    stack.send_webhooks_to(base)
    write_state(stack.data, State(base, os.getpid(), stack.owner_url or ""))
    rows = [("functions", base, ", ".join(function_names())), ("docs", f"{base}/docs", "the API, to read and to try")]
    table(("what", "where", ""), [*rows, *((part.name, part.where, part.note) for part in stack.parts)])
    out.print(f"ready on {base}")
    await stopped.wait()
    clear_state(stack.data)
    await listener.stop()


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns, or None when a signal came first and it was cancelled."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
        return None
    return working.result()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """One `digis dev` per data directory: two would share a database's files."""
    with (data / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read_state(data)
            where = f" on {state.url} (process {state.pid})" if state else ""
            fail(f"already running{where} with this data directory: stop it, or use another with --data")
        yield


def _forget(data: Path) -> None:
    """Remove what earlier runs kept, and nothing else that may be there."""
    for path in (data / name for name in _OURS):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
