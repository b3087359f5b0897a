"""Lua scripts, put together from files of one idea each, whose headers state KEYS, ARGV and what is returned."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Final

CLOCK: Final = Path(__file__).parent / "lua" / "clock.lua"


class Script:
    """A script by its source and SHA-1. Calling it makes the command; the client sends it."""

    known: Final[dict[str, Script]] = {}  # by SHA: when Redis lacks one of them, it most likely lacks them all

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()
        self.known[self.sha] = self

    @classmethod
    def read(cls, *files: Path) -> Script:
        """The files one after another: parts that define local functions, and last the one that calls them."""
        return cls("\n".join(file.read_text(encoding="utf-8") for file in files))

    def __call__(self, keys: list[str], *arguments: str | int) -> ScriptCall:
        """EVALSHA with every key declared: Upstash routes and bills by them."""
        return ScriptCall(self, ["EVALSHA", self.sha, len(keys), *keys, *arguments])


class ScriptCall(list[str | int | float]):
    """An EVALSHA that knows the EVAL to fall back to on NOSCRIPT, once per script and database."""

    def __init__(self, script: Script, command: list[str | int | float]) -> None:
        super().__init__(command)
        self.script = script

    def in_full(self) -> list[str | int | float]:
        return ["EVAL", self.script.source, *self[2:]]
