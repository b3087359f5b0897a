"""The zygote: a process that has imported payments, and forks one that serves a single request and may die of it.

A fork costs milliseconds where a start costs a second, and there are hundreds of deaths. It has one thread and no loop
while it forks, so that a child is as good as new. Standard input is a socket: an order comes in, what became of it goes
out, both as JSON by the line. It ends when nobody holds the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import signal
import socket
import ssl
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from functions.payments import figures, intents, reconcile
from functions.payments.app import app
from shared.http.problems import PaymentProviderUnavailable
from shared.postgres import pool
from shared.upstash import transport
from tests.functions.payments.crash.plants import PLANTS
from tests.functions.payments.crash.points import Points, Way, install
from tests.support import forget_process_state

_PATIENT_SECONDS: Final = 30.0  # a busy machine is no outage: deadlines have tests of their own


def main() -> None:
    channel = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Read from files, which would take each child 50 ms.
    ssl.create_default_context = functools.cache(ssl.create_default_context)  # type: ignore[assignment]
    asyncio.run(_warm_up())
    be_patient(setattr)
    setattr(reconcile, "WORKERS", 1)  # noqa: B010 -- of several the order is another each time; the tests' own has all
    gc.freeze()
    with channel.makefile("r") as orders:
        for line in orders:
            order = json.loads(line)
            child = order.get("process") or os.fork()  # or one that was stopped, and is so no more
            if child == 0:
                _be_the_child(channel, order)
            _, status = os.waitpid(child, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                _tell(channel, order["run"], "stopped", child)
            else:
                _tell(channel, order["run"], "ended", status)


async def _warm_up() -> None:
    """What is imported and made at first use is so before the forks: half of what a child would take."""
    os.environ["STRIPE_API_BASE"] = "http://127.0.0.1:1"  # where nobody listens
    with contextlib.suppress(PaymentProviderUnavailable):
        await intents.find_payment("pi_nobody")
    await _serve({"method": "GET", "path": "/payments/packages", "headers": {}, "body": ""})


def be_patient(change: Callable[[object, str, object], None]) -> None:
    """No deadline of this process is reached. `change` is `setattr`, or what takes it back later."""
    for name in ("CONNECT_SECONDS", "BEGIN_SECONDS", "TRANSACTION_SECONDS"):
        change(pool, name, _PATIENT_SECONDS)
    change(pool, "STATEMENT_MS", int(_PATIENT_SECONDS * 1000))
    change(transport, "CONNECT_SECONDS", _PATIENT_SECONDS)
    change(reconcile, "CUT_SECONDS", _PATIENT_SECONDS)
    change(figures, "RUN_SECONDS", _PATIENT_SECONDS)


def _be_the_child(channel: socket.socket, order: dict[str, Any]) -> None:
    status = 1
    try:
        os.environ.update(order["env"])
        forget_process_state()
        _follow(Path(order["clock"]))
        if order["plant"] is not None:
            PLANTS[order["plant"]](setattr)
        way = None if order["way"] is None else Way(order["way"])
        points = Points(lambda kind, told: _tell(channel, order["run"], kind, told), order["point"], way)
        install(points, order["run"])
        _tell(channel, order["run"], "answer", asyncio.run(_serve(order["request"])))
        status = 0
    except BaseException:  # noqa: BLE001 -- whatever it is, it must not come back into the zygote's loop
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _follow(clock: Path) -> None:
    """See the time pass that is said to have passed since now: moments in this process's memory stay as they are."""
    wall, born = time.time, float(clock.read_text())
    time.time = lambda: wall() + float(clock.read_text()) - born


async def _serve(request: dict[str, Any]) -> dict[str, Any]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://doomed") as http:
        answer = await http.request(
            request["method"], request["path"], headers=request["headers"], content=request["body"].encode()
        )
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": answer.text}


def _tell(channel: socket.socket, run: int, kind: str, told: Any) -> None:
    """At once: whoever tells may not live to flush a buffer."""
    channel.sendall(json.dumps([run, kind, told]).encode() + b"\n")


if __name__ == "__main__":
    main()
