"""`#!lua flags=allow-key-locking`: a flag that only Upstash knows.

Redis refuses to compile a script with it. So the flag is taken out, and what the caller knows as sha1(original)
is translated to sha1(stripped), in each command that names a script.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import Final

_SHEBANG: Final = re.compile(rb"\A#!lua([^\n]*)")
_FLAGS: Final = re.compile(rb"flags=(\S*)")
_OURS: Final = b"allow-key-locking"

Command = list[bytes]


class Scripts:
    """Knows which SHA of a stripped script stands for which original; forgets with SCRIPT FLUSH."""

    def __init__(self) -> None:
        self._stripped_sha: dict[bytes, bytes] = {}
        self._original_sha: dict[bytes, bytes] = {}

    def translate(self, command: Command) -> Command:
        """The command as plain Redis understands it."""
        name = command[0].upper()
        if name in {b"EVAL", b"EVAL_RO"} and len(command) > 1:
            return [command[0], self._strip(command[1]), *command[2:]]
        if name in {b"EVALSHA", b"EVALSHA_RO"} and len(command) > 1:
            return [command[0], self._known(command[1]), *command[2:]]
        if name == b"SCRIPT" and len(command) > 1:
            return self._translate_script(command)
        return command

    def translate_reply(self, command: Command, reply: object) -> object:
        """SCRIPT LOAD answers the SHA of what was loaded: the caller's own, not the stripped one's."""
        is_load = command[0].upper() == b"SCRIPT" and len(command) > 1 and command[1].upper() == b"LOAD"
        if is_load and isinstance(reply, bytes):
            return self._original_sha.get(reply, reply)
        return reply

    def _translate_script(self, command: Command) -> Command:
        action = command[1].upper()
        if action == b"LOAD" and len(command) > 2:  # noqa: PLR2004
            return [*command[:2], self._strip(command[2]), *command[3:]]
        if action == b"EXISTS":
            return [*command[:2], *map(self._known, command[2:])]
        if action == b"FLUSH":
            self._stripped_sha.clear()
            self._original_sha.clear()
        return command

    def _known(self, sha: bytes) -> bytes:
        return self._stripped_sha.get(sha.lower(), sha)

    def _strip(self, script: bytes) -> bytes:
        stripped = _without_our_flag(script)
        if stripped is not script:
            original, plain = (sha1(text, usedforsecurity=False).hexdigest().encode() for text in (script, stripped))
            self._stripped_sha[original] = plain
            self._original_sha[plain] = original
        return stripped


def _without_our_flag(script: bytes) -> bytes:
    """The script less that one flag; other flags of its first line stay. The same object when there is none."""
    shebang = _SHEBANG.match(script)
    flags = _FLAGS.search(shebang.group(1)) if shebang else None
    if shebang is None or flags is None or _OURS not in flags.group(1).split(b","):
        return script
    others = [flag for flag in flags.group(1).split(b",") if flag != _OURS]
    # With no flag left the shebang goes too (its line stays): it would bind the script to Redis's stricter rules.
    line = b"#!lua flags=" + b",".join(others) if others else b""
    return line + script[shebang.end() :]
