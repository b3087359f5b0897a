"""Whether the time of an answer tells if there is an account: somebody and nobody, taking turns, at a `digis dev`."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from functions.auth import passwords
from tools.bench.measure import Result
from tools.bench.server import dev_server, free_port
from tools.local.env_file import read_env, read_state

PAIRS: Final = 200
MOST: Final = 1.10  # the slower of the two, by the faster
_AT_ONCE: Final = 4  # pairs: each request for a code is held back to one floor, and 400 of them would take minutes

_OPERATIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "login": ("login", {"password": "not the password"}),
    "code": ("otp/request", {"purpose": "login"}),
    "reset": ("otp/request", {"purpose": "reset_password"}),
}


async def measure(pairs: int = PAIRS) -> list[Result]:
    """For each operation, how far medians and 95th percentiles of somebody's and nobody's times are apart."""
    with tempfile.TemporaryDirectory(prefix="digis-bench-") as name, dev_server(Path(name), free_port()) as url:
        await _make_accounts(Path(name), pairs)
        env = read_env(Path(name))
        results = []
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            for operation, (path, body) in _OPERATIONS.items():
                somebody: list[float] = []
                nobody: list[float] = []
                for first in range(0, pairs, _AT_ONCE):
                    await _forget_limits(http, env)
                    for number in range(first, min(first + _AT_ONCE, pairs)):
                        turn = [("somebody", somebody), ("nobody", nobody)]
                        both = [
                            _timed(http, path, body | {"email": f"{who}{number}@bench.test"}, times)
                            for who, times in (turn if number % 2 else turn[::-1])
                        ]
                        if operation == "login":
                            for one in both:
                                await one
                        else:
                            await asyncio.gather(*both)
                        await _forget_limits(http, env)
                results += _compared(operation, somebody, nobody)
    return results


def _compared(operation: str, somebody: list[float], nobody: list[float]) -> list[Result]:
    results = []
    for id_, title, figure in (("median", "median", statistics.median), ("p95", "95th percentile", _p95)):
        apart = _apart(figure(somebody), figure(nobody))
        quarters = [slice(k * len(nobody) // 4, (k + 1) * len(nobody) // 4) for k in range(4)]
        spread = [_apart(figure(somebody[part]), figure(nobody[part])) for part in quarters if somebody[part]]
        name = f"{operation}: somebody and nobody apart, {title}"
        results.append(Result(f"same_{operation}_{id_}", name, apart, MOST, (min(spread), max(spread))))
    return results


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1))]


def _apart(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


async def _timed(http: httpx.AsyncClient, path: str, body: dict[str, Any], times: list[float]) -> None:
    started = time.perf_counter()
    answer = await http.post(f"/auth/{path}", json=body)
    times.append(time.perf_counter() - started)
    if answer.status_code not in {401, 202}:
        raise RuntimeError(f"{path} was answered {answer.status_code}")


async def _forget_limits(http: httpx.AsyncClient, env: dict[str, str]) -> None:
    """Everybody here has one address, and five requests in a quarter of an hour."""
    headers = {"Authorization": f"Bearer {env['UPSTASH_REDIS_REST_TOKEN']}"}
    url = env["UPSTASH_REDIS_REST_URL"]
    found = (await http.post(url, json=["KEYS", "rate:*"], headers=headers)).json()["result"]
    if found:
        await http.post(url, json=["DEL", *found], headers=headers)


async def _make_accounts(data: Path, number: int) -> None:
    state = read_state(data)
    assert state is not None
    connection = await asyncpg.connect(state.owner_url, timeout=10)
    try:
        await connection.execute(
            """WITH made AS (
                   INSERT INTO users (username, email, display_name)
                   SELECT 'somebody_' || n, 'somebody' || n || '@bench.test', 'Somebody' FROM generate_series(0, $1) n
                   RETURNING id
               )
               INSERT INTO passwords (user_id, hash) SELECT id, $2 FROM made""",
            *(number, await passwords.hashed("the password")),
        )
    finally:
        await connection.close(timeout=10)
