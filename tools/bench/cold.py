"""A cold start: a new process imports a function and answers its first request from the cache, beside a hello.

Both run from unpacked zips on the deployed Python, with bytecode. The hello is FastAPI and Mangum alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
import urllib.request
import zipfile
from functools import partial
from pathlib import Path
from typing import Final

from tools.bench.measure import Result, interleave, ratio
from tools.bench.server import upstash_server
from tools.deploy.bundle import Architecture, build
from tools.deploy.python import find_python
from tools.functions import cold_event, function_names

MOST: Final = {"ready": 1.20, "auth": 1.20, "payments": 1.20}  # of a hello; the others:
MOST_OTHERS: Final = 1.10

_HELLO: Final = """
from fastapi import FastAPI
from mangum import Mangum
app = FastAPI()
@app.get("/{path:path}")
async def hello() -> dict[str, str]:
    return {"hello": "world"}
lambda_handler = Mangum(app, lifespan="off")
"""
_PROCESS: Final = """
import importlib, json, sys
event = json.load(open(sys.argv[2]))
answer = importlib.import_module(sys.argv[1]).lambda_handler(event, None)
assert answer["statusCode"] in (200, 401), answer  # 401: nobody is signed in
"""
_CACHED: Final = ["SET", "creator:profile:luna", '1v9999999999999:abc::0\n{"success":true}']


async def measure(rounds: int) -> list[Result]:
    """For each function, how many times a hello's cold start its own is. Raise PythonMissing."""
    results = []
    with upstash_server() as url, tempfile.TemporaryDirectory(prefix="digis-cold-") as name:
        await asyncio.to_thread(_fill, url)
        for function in function_names():
            task = await asyncio.to_thread(_unpack, function, Path(name))
            env = _env(url, task)
            event = cold_event(function)
            contestants = {
                "ours": partial(_start, f"functions.{function}.app", event, env),
                "hello": partial(_start, "hello", event, env),
            }
            figures = await interleave(contestants, rounds)
            title = f"cold start of {function}, hello = 1"
            most = MOST.get(function, MOST_OTHERS)
            results.append(ratio(f"cold_{function}", title, figures["ours"], figures["hello"], target=most))
    return results


def _unpack(function: str, directory: Path) -> Path:
    bundle = build(function, Architecture.X86_64, directory / "zips")
    task = directory / function
    with zipfile.ZipFile(bundle.file) as packed:
        packed.extractall(task)
    (task / "hello.py").write_text(_HELLO)
    compiling: list[str | Path] = [find_python(), "-m", "compileall", "-q", task / "hello.py"]
    subprocess.run([*compiling, "--invalidation-mode", "unchecked-hash"], check=True)
    return task


def _fill(url: str) -> None:
    request = urllib.request.Request(  # noqa: S310 -- a server of ours on loopback
        url, data=json.dumps(_CACHED).encode(), headers={"Authorization": "Bearer local"}
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def _env(url: str, task: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(task),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "cold",
        "STAGE": "production",
        "IDENTITY_HMAC_KEY": "k" * 32,
        "SESSION_KEYS": f"k1:{'s' * 32}",
        "OTP_PEPPER": "p" * 32,
        "SMTP_URL": "smtp://127.0.0.1:1",
        "MAIL_FROM": "no-reply@digis.test",
        "STRIPE_SECRET_KEY": "sk_test_local",
        "STRIPE_WEBHOOK_SECRET": "whsec_local",
        "PAYOUT_ACCOUNT_URL": "https://app.digis.example/earnings",
        "CRON_SECRET": "cron-local",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "UPSTASH_REDIS_REST_URL": url,
        "UPSTASH_REDIS_REST_TOKEN": "local",
    }


async def _start(module: str, event: Path, env: dict[str, str]) -> float:
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(find_python(), "-c", _PROCESS, module, event), env=env, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait() != 0:
        raise RuntimeError(f"{module} did not answer")
    return time.perf_counter() - started
