"""Everything secret that sign-in gives out, searched for in everything that is kept: Postgres, Redis, the logs."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from shared.otp import Purpose
from tests.conftest import Post, Services
from tests.functions.auth.conftest import NewPerson
from tests.functions.auth.people import forget_limits
from tools.local.postgres_binaries import find_binaries
from tools.local.rest.server import RestServer


async def _dump_of_postgres(services: Services, database_name: str) -> str:
    """As pg_dump prints it: every row of every table."""
    pg_dump = find_binaries().directory / "pg_dump"
    process = await asyncio.create_subprocess_exec(
        *(pg_dump, "--data-only", services.postgres.url(database_name, "owner")), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    return out.decode()


async def _dump_of_redis(rest: RestServer) -> str:
    lines = []
    for key in [found.decode() for found in await rest.command("KEYS", "*")]:
        kind = (await rest.command("TYPE", key)).decode()
        read = {"string": ["GET", key], "hash": ["HGETALL", key], "zset": ["ZRANGE", key, "0", "-1"]}[kind]
        lines.append(f"{key} {await rest.command(*read)}")
    return "\n".join(lines)


async def test_nothing_that_is_given_out_is_kept_anywhere(
    new_person: NewPerson,
    post: Post,
    services: Services,
    rest: RestServer,
    database_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("digis").propagate = True
    given: set[str] = set()
    digits: set[str] = set()
    people = [await new_person().register() for _ in range(2)]
    for person in people:
        given |= {person.token, person.device_token, person.password}
        await forget_limits(rest)
        for purpose in (Purpose.LOGIN, Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD):
            digits.add(await person.code(purpose))
    answer = await people[0].verify(people[0].mailed_code(), "reset_password")
    given.add(answer.json()["reset_token"])
    await people[1].post("login", email=people[1].email, password="a wrong password that is typed")
    given.add("a wrong password that is typed")
    await people[1].get("sessions")
    # The parts that would do as well as the whole.
    given |= {part for token in list(given) if token.count(".") == 2 for part in token.split(".")[1:]}
    given.discard("digis")

    postgres = await _dump_of_postgres(services, database_name)
    redis = await _dump_of_redis(rest)
    # Everybody's but the test's own mail server and HTTP client.
    records = [record for record in caplog.records if not record.name.startswith(("mail.", "httpcore", "httpx"))]
    logs = "\n".join(f"{record.name} {record.getMessage()} {record.__dict__}" for record in records)
    assert people[0].email in postgres, "the dump is one: an address is in users, and may be"
    assert "session:" in redis
    assert "POST /auth/login" in logs
    for secret in given:
        for name, kept in (("postgres", postgres), ("redis", redis), ("logs", logs)):
            assert secret not in kept, (name, secret[:6])
    for person in people:
        assert person.email not in redis
        assert person.email not in logs
        assert postgres.count(person.email) == 1
    for code in digits:  # six digits are part of many a number: a code would stand alone
        for kept in (postgres, redis, logs):
            assert not re.search(rf"(?<![\d.]){code}(?![\d.])", kept)
    assert len(post.mailbox.messages) == 6
