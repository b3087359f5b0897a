"""Signed tokens: what a caller brings back is known to be ours before anybody is asked.

`<key id>.<body>.<HMAC-SHA256 over kind, key id and body>`, the last two as unpadded base64url. The kind keeps one sort
of token from being taken for another. Signed by the newest of SESSION_KEYS, accepted under any of them.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

from shared.settings import settings

_MOST_CHARACTERS: Final = 300
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def sign(kind: str, body: bytes) -> str:
    key_id, key = settings().session_keys.signing
    return f"{key_id}.{_encode(body)}.{_encode(_mac(key, kind, key_id, body))}"


def verified(kind: str, text: str) -> bytes | None:
    """The body of a token of this kind; None for one that is forged, malformed or signed with a key long gone."""
    if len(text) > _MOST_CHARACTERS or text.count(".") != 2:  # noqa: PLR2004 -- three parts
        return None
    key_id, encoded, signature = text.split(".")
    key = settings().session_keys.by_id.get(key_id)
    body, mac = _decode(encoded), _decode(signature)
    if key is None or body is None or mac is None:
        return None
    return body if hmac.compare_digest(mac, _mac(key, kind, key_id, body)) else None


def _mac(key: str, kind: str, key_id: str, body: bytes) -> bytes:
    return hmac.digest(key.encode(), f"{kind}\0{key_id}\0".encode() + body, sha256)


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """Only the one spelling that `_encode` writes."""
    if not text or not _ALPHABET.issuperset(text) or len(text) % 4 == 1:
        return None
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return raw if _encode(raw) == text else None
