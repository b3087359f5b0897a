"""What sign-in makes of Redis, Postgres and the mail server being out, and of their coming back."""

from __future__ import annotations

import time

import httpx
import pytest

from shared.cache.entry import Entry
from shared.postgres import outbox
from shared.upstash import client
from tests.conftest import Post
from tests.functions.auth.conftest import NewPerson
from tests.functions.auth.people import Person, forget_limits
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

pytestmark = pytest.mark.slow  # waits for deadlines

OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT]


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture(autouse=True)
def no_leftovers() -> None:
    outbox.undelivered.clear()


@pytest.mark.parametrize("mode", OUT)
async def test_upstash_out_the_signed_in_go_on_from_postgres_and_nobody_signs_in(
    person: Person, rest: RestServer, mode: Mode
) -> None:
    await person.register()
    await rest.faults.set(mode)
    for _ in range(2):
        answer = await person.get()
        assert (answer.status_code, answer.headers["x-ratelimit-mode"]) == (200, "local")
    answer = await person.post("login", email=person.email, password=person.password)
    assert _code(answer) == (503, "rate_limiter_unavailable")
    assert answer.headers["retry-after"] == "5"
    answer = await person.post("otp/request", email=person.email, purpose="login")
    assert _code(answer) == (503, "rate_limiter_unavailable")


@pytest.mark.parametrize("mode", [*OUT, Mode.LOST])
async def test_logout_is_503_until_redis_confirms_and_then_heals(person: Person, rest: RestServer, mode: Mode) -> None:
    await person.register()
    assert (await person.get()).status_code == 200
    await rest.faults.set(mode)
    for _ in range(2):
        answer = await person.post("logout", session=True)
        assert _code(answer) == (503, "upstream_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert _code(await person.get()) == (401, "unauthenticated"), "Postgres knows"

    await rest.faults.set(Mode.OK)
    upstash = client.upstash()
    assert upstash is not None
    upstash._breaker.succeeded()  # its two seconds have passed
    assert _code(await person.get()) == (401, "unauthenticated"), "the late drop rides ahead of the lookup"
    assert not outbox.undelivered


async def test_revocation_that_redis_forgot_is_believed_for_five_minutes_at_most(
    person: Person, rest: RestServer
) -> None:
    await person.register()
    (key,) = [found.decode() for found in await rest.command("KEYS", "session:*")]
    copy = (await rest.command("GET", key)).decode()
    assert (await person.post("logout", session=True)).status_code == 204

    await rest.command("SET", key, copy)  # a failed-over Redis that has not heard of it
    entry = Entry.decode(copy)
    assert entry is not None
    assert entry.fresh_until_ms - time.time() * 1000 <= 300_000
    assert (await person.get()).status_code == 200, "this is the five minutes"

    aged = copy.replace(str(entry.fresh_until_ms), str(int(time.time() * 1000) - 1))  # they have passed
    await rest.command("SET", key, aged)
    assert _code(await person.get()) == (401, "unauthenticated")
    assert _code(await person.get()) == (401, "unauthenticated")


async def test_session_is_read_again_after_five_minutes_and_stale_ones_are_never_served(
    person: Person, rest: RestServer, proxy: FaultProxy
) -> None:
    await person.register()
    (key,) = [found.decode() for found in await rest.command("KEYS", "session:*")]
    copy = (await rest.command("GET", key)).decode()
    entry = Entry.decode(copy)
    assert entry is not None
    aged = copy.replace(str(entry.fresh_until_ms), str(int(time.time() * 1000) - 1))
    await rest.command("SET", key, aged)
    await proxy.set(ProxyMode.REFUSE)
    assert _code(await person.get()) == (503, "upstream_unavailable")
    await proxy.set(ProxyMode.OK)
    await rest.command("SET", key, aged)
    assert (await person.get()).status_code == 200
    renewed = Entry.decode((await rest.command("GET", key)).decode())
    assert renewed is not None
    assert renewed.is_fresh


@pytest.mark.parametrize("mode", [ProxyMode.REFUSE, ProxyMode.HANG, ProxyMode.ERROR_500, ProxyMode.CUT])
async def test_mail_out_is_503_for_whom_it_may_concern_and_spends_nothing(
    new_person: NewPerson, post: Post, rest: RestServer, monkeypatch: pytest.MonkeyPatch, mode: ProxyMode
) -> None:
    monkeypatch.setattr("functions.auth.mail._SECONDS", 0.5)
    person, nobody = await new_person().register(), new_person()
    await post.proxy.set(mode)
    for email in (person.email, nobody.email):
        started = time.monotonic()
        answer = await person.post("otp/request", email=email, purpose="login")
        assert _code(answer) == (503, "mail_unavailable")
        assert time.monotonic() - started < 5
        assert int(answer.headers["retry-after"]) >= 1
    assert await rest.command("KEYS", "otp:*") == []

    await post.proxy.set(ProxyMode.OK)
    assert (await person.verify(await person.code())).status_code == 200, "at once: neither minute nor hour was counted"


async def test_slow_mail_is_mailed_all_the_same(person: Person, post: Post) -> None:
    await person.register()
    await post.proxy.set(ProxyMode.SLOW)
    assert (await person.verify(await person.code())).status_code == 200


async def test_notice_that_cannot_be_mailed_stops_no_reset(person: Person, post: Post) -> None:
    await person.register()
    token = (await person.verify(await person.code("reset_password"), "reset_password")).json()["reset_token"]
    await post.proxy.set(ProxyMode.REFUSE)
    assert (await person.post("password/reset", reset_token=token, password="another long one")).status_code == 204


@pytest.mark.parametrize("mode", [ProxyMode.REFUSE, ProxyMode.ERROR_500])
async def test_postgres_out_is_503_and_spends_no_code(
    person: Person, proxy: FaultProxy, rest: RestServer, mode: ProxyMode
) -> None:
    await person.register()
    code = await person.code()
    await proxy.set(mode)
    for path, body in (
        ("login", {"email": person.email, "password": person.password}),
        ("otp/request", {"email": person.email, "purpose": "login"}),
        ("otp/verify", {"email": person.email, "purpose": "login", "code": code}),
        ("password/reset", {"reset_token": "A" * 43, "password": person.password}),
    ):
        answer = await person.http.post(f"/auth/{path}", json=body)
        assert _code(answer) == (503, "upstream_unavailable"), path
    await proxy.set(ProxyMode.OK)
    await forget_limits(rest)
    assert (await person.verify(code)).status_code == 200
