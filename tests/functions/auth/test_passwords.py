"""Hashing: off the event loop, two at a time, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest

from functions.auth import passwords
from shared.http.problems import UpstreamUnavailable


async def test_loop_goes_on_while_passwords_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, inside, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    names: list[str] = []

    def slow(_password: str, _stored: str) -> bool:
        names.append(threading.current_thread().name)
        loop.call_soon_threadsafe(inside.set)
        return release.wait(10)

    monkeypatch.setattr(passwords, "_matches", slow)
    waiting = asyncio.create_task(passwords.is_right("x", passwords.NOBODYS))
    await asyncio.wait_for(inside.wait(), 5)  # which it could not see, if the loop were held
    assert not waiting.done()
    release.set()
    assert await waiting
    assert names[0].startswith("argon2")


async def test_two_at_a_time_and_whoever_waits_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    running = 0
    most = 0
    lock = threading.Lock()

    def slow(_password: str, _stored: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(10)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(passwords, "_matches", slow)
    monkeypatch.setattr(passwords, "_WAIT_SECONDS", 0.2)
    answers = await asyncio.gather(
        *(passwords.is_right("x", passwords.NOBODYS) for _ in range(20)), return_exceptions=True
    )
    release.set()
    assert most == 2
    assert all(isinstance(answer, UpstreamUnavailable) for answer in answers)
    assert all(answer.headers["Retry-After"] == "2" for answer in answers if isinstance(answer, UpstreamUnavailable))


async def test_hash_is_argon2id_and_salted() -> None:
    one, two = await passwords.hashed("the same"), await passwords.hashed("the same")
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert await passwords.is_right("the same", one)
    assert not await passwords.is_right("another", one)
    assert not await passwords.is_right("another", "$argon2id$broken")
