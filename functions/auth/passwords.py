"""Passwords: argon2id, in a thread of two, so that the event loop goes on while one is hashed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from shared.http.problems import UpstreamUnavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

# OWASP's second choice for argon2id: 19 MiB, two passes. About 30 ms; a Lambda of 512 MB holds both threads' easily.
_MEMORY_KIB: Final = 19 * 1024
_PASSES: Final = 2
_AT_ONCE: Final = 2
_WAIT_SECONDS: Final = 3.0  # a hundred in the queue: whoever waits longer is told to come back
_RETRY_SECONDS: Final = 2

# What an account without a password, or no account, is compared with: the same work, and never right.
NOBODYS: Final = "$argon2id$v=19$m=19456,t=2,p=1$FdmWfFsyuhn1Bt9JY7CGGQ$juvhJFXkwzTyylD85LtthbxQr/QmaaAI21PrhqIRNo0"

_threads: Final = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")


async def hashed(password: str) -> str:
    """Raise UpstreamUnavailable when too many are hashed already."""
    return await _in_thread(lambda: _hasher().hash(password))


async def is_right(password: str, stored: str) -> bool:
    """Raise UpstreamUnavailable when too many are hashed already."""
    return await _in_thread(lambda: _matches(password, stored))


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return _hasher().check_needs_rehash(stored)


def _matches(password: str, stored: str) -> bool:
    from argon2.exceptions import VerificationError  # noqa: PLC0415

    try:
        return _hasher().verify(stored, password)
    except VerificationError:
        return False


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 -- for those who sign in, not for every cold start

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(_threads, work)
    except TimeoutError:
        raise UpstreamUnavailable(headers={"Retry-After": str(_RETRY_SECONDS)}) from None
