"""Requests on their way in: a JSON array, a JSON array of arrays, or a path."""

from __future__ import annotations

import json
import math
from urllib.parse import unquote_to_bytes

Command = list[bytes]


class BadRequest(Exception):
    """The body or the path holds no command; the message is what Upstash would answer with a 400."""


def command_of_body(body: bytes) -> Command:
    """`["SET", "key", "value"]`"""
    return _command(_parse(body))


def commands_of_body(body: bytes) -> list[Command]:
    """`[["SET", "key", "value"], ["GET", "key"]]`"""
    parsed = _parse(body)
    if not isinstance(parsed, list) or not parsed:
        raise BadRequest("ERR empty pipeline request")
    return [_command(item) for item in parsed]


def command_of_path(path: bytes, query: bytes, body: bytes) -> Command:
    """`/SET/key?EX=10` with the value as its body: path, then body, then query, as Upstash appends them."""
    command = [unquote_to_bytes(part) for part in path.strip(b"/").split(b"/")]
    if body:
        command.append(body)
    for pair in filter(None, query.split(b"&")):
        name, has_value, value = pair.partition(b"=")
        if name != b"_token":
            command.append(_unquote_plus(name))
            if has_value and value:
                command.append(_unquote_plus(value))
    if not command[0]:
        raise BadRequest("ERR empty command")
    return command


def token_of_query(query: bytes) -> bytes | None:
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"_token":
            return _unquote_plus(value)
    return None


def _unquote_plus(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _parse(body: bytes) -> object:
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise BadRequest("ERR failed to parse command: invalid JSON") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _command(parsed: object) -> Command:
    if not isinstance(parsed, list):
        raise BadRequest("ERR failed to parse command: not an array")
    if not parsed:
        raise BadRequest("ERR empty command")
    return [_argument(part) for part in parsed]


def _argument(part: object) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    if isinstance(part, bool):
        return b"true" if part else b"false"
    if isinstance(part, int | float):
        return json.dumps(part).encode()
    raise BadRequest("ERR failed to parse command: arguments must be strings, numbers or booleans")
