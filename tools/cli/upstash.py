"""`digis upstash`: the Upstash REST server alone, for any project that wants one."""

from __future__ import annotations

import asyncio
import errno
import signal
from typing import Annotated

import typer

from tools.cli.screen import fail, out
from tools.local.env_file import UPSTASH_PORT, UPSTASH_TOKEN


def _token(text: str | None) -> str | None:
    """What fits into an Authorization header. Raise BadParameter; Typer says which option it was."""
    if text is not None and (not text or not text.isascii() or not text.isprintable() or " " in text):
        raise typer.BadParameter("a token has printable ASCII characters without spaces, one at least")
    return text


def upstash(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port.")] = UPSTASH_PORT,
    token: Annotated[str, typer.Option(callback=_token, help="The token that callers must present.")] = UPSTASH_TOKEN,
    read_only_token: Annotated[
        str | None, typer.Option(callback=_token, help="A second token, which may only read.")
    ] = None,
) -> None:
    """Run a Redis of its own behind the Upstash REST API, until Ctrl-C. It keeps nothing."""
    raise typer.Exit(asyncio.run(_run(port, token, read_only_token)))


async def _run(port: int, token: str, read_only_token: str | None) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    from tools.local.process import StartFailed  # noqa: PLC0415 -- `--help` does not wait for them
    from tools.local.redis import LocalRedis, RedisMissing  # noqa: PLC0415
    from tools.local.rest.server import RestServer  # noqa: PLC0415

    try:
        redis = LocalRedis.launch()
    except RedisMissing as error:
        fail(str(error))
    try:
        await redis.ready()
        async with RestServer(redis.socket, token=token, read_only_token=read_only_token, port=port) as server:
            out.print(f"UPSTASH_REDIS_REST_URL={server.url}")
            out.print(f"UPSTASH_REDIS_REST_TOKEN={token}", markup=False)
            out.print(f"ready on {server.url}")
            await stopped.wait()
    except StartFailed as error:
        fail(str(error))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        fail(f"port {port} is taken: choose another with --port, or 0 for a free one")
    finally:
        redis.stop()
    return 0
