"""`digis demo`: a large data set in the database of a running `digis dev`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tools.cli.screen import err, fail, step
from tools.local.env_file import DEFAULT_DATA, adopt_env, read_state

if TYPE_CHECKING:
    from rich.progress import TaskID

FEWEST: Final = 3  # one charge
MOST: Final = 10_000_000
_QUIET_SECONDS: Final = 2.0  # what takes less needs no bar
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1", None}  # None: a socket's directory


def demo(
    postings: Annotated[int, typer.Option(min=FEWEST, max=MOST, help="How many, three to a charge.")],
    data: Annotated[Path, typer.Option(help="Of the running digis dev.")] = DEFAULT_DATA,
) -> None:
    """Load charges of many fans on the demo's creators, over a year. What is there already stays."""
    state = read_state(data)
    if state is None or not state.owner_url:
        fail(f"no digis dev runs with the data directory {data}")
    if urlsplit(state.owner_url).hostname not in _LOOPBACK:
        fail("this is for a database on this machine alone")
    adopt_env(data)
    bar = _Bar()
    started = time.monotonic()
    try:
        new = asyncio.run(_load(state.owner_url, postings, bar))
    except KeyboardInterrupt:
        bar.stop()
        err.print(f"stopped at {bar.done:,} of {bar.wanted:,} charges, each of them whole; again goes on from there")
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        bar.stop()
        said = str(error) or type(error).__name__
        fail(f"the database: {said}; what was loaded is whole, and again goes on from there")
    bar.stop()
    if not new:
        step(f"nothing to load: {bar.done:,} charges are there already")
        return
    step(f"loaded {new:,} charges in {time.monotonic() - started:.1f} s: {bar.done:,} are there")


async def _load(owner_url: str, postings: int, bar: _Bar) -> int:
    from tools.local.demo_large import DemoRefused, load_large  # noqa: PLC0415 -- `--help` does not wait for it

    try:
        new = await load_large(owner_url, postings, bar.show)
    except DemoRefused as refused:
        bar.stop()
        fail(str(refused))
    if new:
        await _forget_cached()
    return new


async def _forget_cached() -> None:
    """What was said of these creators before."""
    from shared.settings import settings  # noqa: PLC0415
    from shared.upstash import keys  # noqa: PLC0415
    from shared.upstash.client import upstash  # noqa: PLC0415
    from shared.upstash.errors import UpstashError  # noqa: PLC0415

    client = upstash()
    if client is None:
        return
    try:
        for prefix in (keys.ANALYTICS, keys.TOKEN):
            (found,) = await client.run(["KEYS", f"{settings().upstash_key_prefix}{prefix.name}:*"])
            if isinstance(found, list) and found:
                await client.run(["DEL", *found])
    except UpstashError:
        step("what is cached of analytics may be half an hour old: Upstash does not answer")
    finally:
        await client.close()


class _Bar:
    """A bar on a terminal, once it has taken a while."""

    def __init__(self) -> None:
        self.done = self.wanted = 0
        self._started = time.monotonic()
        columns = (TextColumn("charges"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err, transient=True)
        self._task: TaskID | None = None

    def show(self, done: int, wanted: int) -> None:
        self.done, self.wanted = done, wanted
        if self._task is None:
            if not err.is_terminal or time.monotonic() - self._started < _QUIET_SECONDS:
                return
            self._task = self._progress.add_task("charges", total=wanted)
            self._progress.start()
        self._progress.update(self._task, completed=done)

    def stop(self) -> None:
        self._progress.stop()
