"""Lua scripts: each in a file of its own, whose header states KEYS, ARGV and what it returns."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path


class Script:
    """A script by its source and SHA-1. Calling it makes the command; the client sends it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def read(cls, file: Path) -> Script:
        return cls(file.read_text(encoding="utf-8"))

    def __call__(self, keys: list[str], *arguments: str | int) -> ScriptCall:
        """EVALSHA with every key declared: Upstash routes and bills by them."""
        return ScriptCall(self, ["EVALSHA", self.sha, len(keys), *keys, *arguments])


class ScriptCall(list[str | int | float]):
    """An EVALSHA that knows the EVAL to fall back to on NOSCRIPT, once per script and database."""

    def __init__(self, script: Script, command: list[str | int | float]) -> None:
        super().__init__(command)
        self._script = script

    def in_full(self) -> list[str | int | float]:
        return ["EVAL", self._script.source, *self[2:]]
