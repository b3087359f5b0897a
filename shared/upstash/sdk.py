"""The one place that imports upstash_redis, and keeps httpx out while it does.

`upstash_redis.http` imports httpx at its top (a fifth of a cold start) and uses it only in the constructors
that our client does not call. A placeholder stands in for httpx during that import; it becomes the real one when
somebody reaches for a name in it, so that the stock clients keep working in the same process.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


class _Placeholder(ModuleType):
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks for these, and must not wake the real one
            raise AttributeError(name)
        return getattr(importlib.import_module("httpx"), name)


def _without_httpx() -> None:
    if "httpx" in sys.modules:
        return
    sys.modules["httpx"] = _Placeholder("httpx")
    try:
        importlib.import_module("upstash_redis.http")
    finally:
        del sys.modules["httpx"]


_without_httpx()

from upstash_redis.asyncio.client import AsyncPipeline, Redis  # noqa: E402
from upstash_redis.commands import AsyncJsonCommands, AsyncSearchCommands, PipelineJsonCommands  # noqa: E402
from upstash_redis.format import cast_response  # noqa: E402

__all__ = [
    "AsyncJsonCommands",
    "AsyncPipeline",
    "AsyncSearchCommands",
    "PipelineJsonCommands",
    "Redis",
    "cast_response",
]
