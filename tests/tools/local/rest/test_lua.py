"""The flag that only Upstash knows, in every command that names a script."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import httpx
import pytest

from tools.local.rest.server import RestServer

SCRIPT = "#!lua flags=allow-key-locking\nreturn 'ran'"
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


async def _run(rest: RestServer, *commands: list[Any], path: str = "/pipeline") -> list[Any]:
    async with httpx.AsyncClient(base_url=rest.url, headers={"Authorization": "Bearer local"}) as http:
        return list((await http.post(path, json=commands)).json())


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
async def test_script_with_the_flag_runs_and_is_known_by_its_own_sha(rest: RestServer, path: str) -> None:
    assert await _run(rest, ["EVAL", SCRIPT, 0], path=path) == [{"result": "ran"}]
    assert await _run(rest, ["EVALSHA", SHA, 0], ["EVALSHA", SHA.upper(), 0], path=path) == [{"result": "ran"}] * 2
    assert await _run(rest, ["SCRIPT", "EXISTS", SHA, "0" * 40], path=path) == [{"result": [1, 0]}]


async def test_unknown_sha_is_noscript(rest: RestServer) -> None:
    (answer,) = await _run(rest, ["EVALSHA", SHA, 0])
    assert answer["error"].startswith("NOSCRIPT")


async def test_load_answers_the_sha_of_what_was_loaded(rest: RestServer) -> None:
    assert await _run(rest, ["SCRIPT", "LOAD", SCRIPT], ["EVALSHA", SHA, 0]) == [{"result": SHA}, {"result": "ran"}]


async def test_flush_forgets(rest: RestServer) -> None:
    await _run(rest, ["EVAL", SCRIPT, 0], ["SCRIPT", "FLUSH"])
    (exists, call) = await _run(rest, ["SCRIPT", "EXISTS", SHA], ["EVALSHA", SHA, 0])
    assert exists == {"result": [0]}
    assert call["error"].startswith("NOSCRIPT")


async def test_read_only_forms_are_translated_too(rest: RestServer) -> None:
    assert await _run(rest, ["EVAL_RO", SCRIPT, 0], ["EVALSHA_RO", SHA, 0]) == [{"result": "ran"}] * 2


@pytest.mark.parametrize(
    ("first_line", "works"),
    [
        ("#!lua flags=allow-key-locking", True),
        ("#!lua flags=no-writes,allow-key-locking", True),
        ("#!lua flags=allow-key-locking,no-writes", True),
        ("#!lua flags=no-such-flag,allow-key-locking", False),
        ("#!lua flags=not-allow-key-locking", False),
    ],
)
async def test_other_flags_stay_as_they_are(rest: RestServer, first_line: str, works: bool) -> None:  # noqa: FBT001
    (answer,) = await _run(rest, ["EVAL", f"{first_line}\nreturn 1", 0])
    assert ("result" in answer) is works


async def test_kept_flag_is_in_force(rest: RestServer) -> None:
    script = "#!lua flags=no-writes,allow-key-locking\nreturn redis.call('SET', KEYS[1], 1)"
    (answer,) = await _run(rest, ["EVAL", script, 1, "k"])
    assert "Write commands are not allowed" in answer["error"]
