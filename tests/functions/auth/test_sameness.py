"""Whether there is an account shows in nothing that is counted: verifies, queries, trips, commands of SMTP."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from argon2 import PasswordHasher

from functions.auth import passwords
from shared import telemetry
from shared.postgres.pool import database
from tests.conftest import Post
from tests.functions.auth.conftest import NewPerson
from tests.functions.auth.people import forget_limits
from tools.local.rest.server import RestServer

COUNTED = ("EHLO", "MAIL", "RCPT", "DATA", "NOOP", "RSET", "QUIT")


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counted: Counter[str] = Counter()
    real_verify, real_log = passwords.is_right, telemetry.log_access

    async def verify(password: str, stored: str) -> bool:
        counted["verifies"] += 1
        return await real_verify(password, stored)

    def log(record: telemetry.RequestRecord, status: int) -> None:
        counted["queries"] += record.queries
        counted["trips"] += record.trips
        counted["status"] = status
        real_log(record, status)

    monkeypatch.setattr(passwords, "is_right", verify)
    monkeypatch.setattr(telemetry, "log_access", log)
    return counted


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("login", {"password": "not this one"}),
        ("otp/request", {"purpose": "login"}),
        ("otp/request", {"purpose": "reset_password"}),
        ("otp/request", {"purpose": "verify_email"}),
        ("otp/verify", {"purpose": "login", "code": "000000"}),
        ("otp/verify", {"purpose": "reset_password", "code": "000000"}),
    ],
)
async def test_same_work_for_somebody_and_nobody(
    new_person: NewPerson, rest: RestServer, post: Post, counts: Counter[str], path: str, body: dict[str, Any]
) -> None:
    somebody, nobody = await new_person().register(), new_person()
    await nobody.post("otp/request", email="warm@digis.test", purpose="login")  # every script is known from here on
    await nobody.post("otp/verify", email="warm@digis.test", purpose="login", code="000000")
    seen = []
    for person in (somebody, nobody):
        await forget_limits(rest)
        counts.clear()
        post.mailbox.commands.clear()
        answer = await person.post(path, email=person.email, **body)
        dialogue = sum(post.mailbox.commands[verb] for verb in COUNTED)
        headers = {name: answer.headers.get(name) for name in ("ratelimit-policy", "retry-after", "content-length")}
        seen.append((dict(counts), dialogue, headers))
    assert seen[0] == seen[1]
    if path == "login":
        assert seen[0][0]["verifies"] == 1
    if path == "otp/request":
        assert seen[0][1] == 5


async def test_stand_in_hash_takes_the_work_of_a_real_one() -> None:
    real = await passwords.hashed("a password of somebody")
    assert not passwords.is_outdated(passwords.NOBODYS)
    assert real.rpartition("$")[0].rpartition("$")[0] == passwords.NOBODYS.rpartition("$")[0].rpartition("$")[0]
    assert not await passwords.is_right("a password of somebody", passwords.NOBODYS)


async def test_hash_with_older_parameters_is_renewed_at_the_next_login(new_person: NewPerson) -> None:
    person = await new_person().register()
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(person.password)
    async with database().transaction() as transaction:
        await transaction.execute(
            "UPDATE passwords SET hash = $1 WHERE user_id = (SELECT id FROM users WHERE email = $2)", old, person.email
        )
    await person.login()
    row = await database().fetchrow(
        "SELECT hash FROM passwords WHERE user_id = (SELECT id FROM users WHERE email = $1)", person.email
    )
    assert row is not None
    assert not passwords.is_outdated(row["hash"])
    await person.login()
