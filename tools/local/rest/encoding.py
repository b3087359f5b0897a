"""Replies on their way out: JSON, JSON with base64 strings, or RESP2."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Final

from tools.local.rest.link import CommandError, Reply

JSON: Final = b"application/json"
RESP2: Final = b"application/octet-stream"

_STATUS_REPLIES: Final = frozenset({b"OK", b"PONG", b"QUEUED"})


def encode_one(reply: Reply, *, in_base64: bool) -> bytes:
    return json.dumps(_envelope(reply, in_base64=in_base64), ensure_ascii=False).encode()


def encode_all(replies: Sequence[Reply], *, in_base64: bool) -> bytes:
    items = [_envelope(reply, in_base64=in_base64) for reply in replies]
    return json.dumps(items, ensure_ascii=False).encode()


def encode_error(message: str) -> bytes:
    return json.dumps({"error": message}, ensure_ascii=False).encode()


def encode_resp2(reply: Reply) -> bytes:
    """The reply as RESP2 bytes, for clients that parse that faster than JSON."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, CommandError):
        return b"-%s\r\n" % str(reply).encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n%s" % (len(reply), b"".join(map(encode_resp2, reply)))
    if reply in _STATUS_REPLIES:
        return b"+%s\r\n" % reply
    return b"$%d\r\n%s\r\n" % (len(reply), reply)


def _envelope(reply: Reply, *, in_base64: bool) -> dict[str, object]:
    if isinstance(reply, CommandError):
        return {"error": str(reply)}
    return {"result": _value(reply, in_base64=in_base64)}


def _value(reply: Reply, *, in_base64: bool) -> object:
    if isinstance(reply, bytes):
        if in_base64 and reply != b"OK":
            return base64.b64encode(reply).decode("ascii")
        return reply.decode("utf-8", "replace")
    if isinstance(reply, list):
        return [_value(item, in_base64=in_base64) for item in reply]
    if isinstance(reply, CommandError):  # inside the reply of EXEC or of a script
        return str(reply)
    return reply
