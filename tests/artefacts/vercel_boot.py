"""One function of a Vercel build as Vercel runs it: its own files alone, its own runtime, told where to report."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tools.deploy.python import find_python

_SECONDS = 30


@asynccontextmanager
async def booted(tree: Path, config_file: Path, task: Path, env: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the function. Its files are laid out in `task`, where nothing else of the build is in reach."""
    config = lay_out(tree, config_file, task)
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    listening: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listening.append(asyncio.create_task(_listen(reader, writer, messages)))

    server = await asyncio.start_unix_server(accept, task.parent / "ipc")
    module = config["handler"].partition(".")[0]
    process = await asyncio.create_subprocess_exec(
        *(find_python(), "-c", f"import {module}"),
        cwd=task,
        env={
            "PATH": os.environ["PATH"],
            "VERCEL": "1",
            "VERCEL_ENV": "preview",
            "VERCEL_IPC_PATH": str(task.parent / "ipc"),
            **config["environment"],
            **env,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        started = await asyncio.wait_for(messages.get(), _SECONDS)
        assert started["type"] == "server-started", started
        url = f"http://127.0.0.1:{started['payload']['httpPort']}"
        async with httpx.AsyncClient(base_url=url, timeout=_SECONDS) as client:
            yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*listening)  # its end of the line is closed with it
        server.close()


def lay_out(tree: Path, config_file: Path, task: Path) -> dict[str, Any]:
    """Put what the function ships where it will find it. Return its configuration."""
    shutil.copytree(config_file.parent, task)
    config: dict[str, Any] = json.loads(config_file.read_text())
    for shipped, where in config["filePathMap"].items():
        (task / shipped).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / where, task / shipped)
    return config


async def _listen(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, messages: asyncio.Queue[dict[str, Any]]
) -> None:
    """The runtime reports with JSON, each message ended by a zero byte."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            message = await reader.readuntil(b"\0")
            await messages.put(json.loads(message[:-1]))
    writer.close()
    await writer.wait_closed()
