"""One-time codes where they are kept: guessing, resending, using up; many at once."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from shared import otp
from shared.otp import Purpose
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashUnavailable
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

EMAIL = "somebody@digis.test"

pytestmark = pytest.mark.usefixtures("redis")


@pytest.fixture
async def redis(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[None]:
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    yield
    if client := upstash():
        await client.close()


async def _issued(purpose: Purpose = Purpose.LOGIN) -> otp.Code:
    code = await otp.issue(purpose, EMAIL)
    assert code is not None
    return code


def _wrong(code: otp.Code) -> str:
    return f"{(int(code.digits) + 1) % 10**6:06d}"


async def _sent_earlier(rest: RestServer, milliseconds: int) -> None:
    for key in [found.decode() for found in await rest.command("KEYS", "*:sent")]:
        times = (await rest.command("GET", key)).decode().split(",")
        await rest.command("SET", key, ",".join(str(int(at) - milliseconds) for at in times), "KEEPTTL")


async def test_of_a_hundred_guesses_at_once_five_are_judged() -> None:
    code = await _issued()
    guesses = [f"{number:06d}" for number in range(100) if f"{number:06d}" != code.digits]
    assert not any(await asyncio.gather(*(otp.consume(Purpose.LOGIN, EMAIL, guess) for guess in guesses)))
    assert not await otp.consume(Purpose.LOGIN, EMAIL, code.digits), "the sixth is not judged, right or wrong"


async def test_of_many_who_are_right_at_once_one_is() -> None:
    code = await _issued()
    answers = await asyncio.gather(*(otp.consume(Purpose.LOGIN, EMAIL, code.digits) for _ in range(50)))
    assert sum(answers) == 1
    assert not await otp.consume(Purpose.LOGIN, EMAIL, code.digits)


async def test_right_one_among_many_guesses_wins_once_at_most() -> None:
    code = await _issued()
    guesses = [_wrong(code)] * 50 + [code.digits] * 50
    answers = await asyncio.gather(*(otp.consume(Purpose.LOGIN, EMAIL, guess) for guess in guesses))
    assert sum(answers) <= 1


async def test_resend_resets_no_tries_and_success_does(rest: RestServer) -> None:
    code = await _issued()
    for _ in range(4):
        assert not await otp.consume(Purpose.LOGIN, EMAIL, _wrong(code))
    await _sent_earlier(rest, 60_001)
    code = await _issued()
    assert not await otp.consume(Purpose.LOGIN, EMAIL, _wrong(code)), "the fifth"
    assert not await otp.consume(Purpose.LOGIN, EMAIL, code.digits)

    code = await _issued(Purpose.VERIFY_EMAIL)
    for _ in range(4):
        await otp.consume(Purpose.VERIFY_EMAIL, EMAIL, _wrong(code))
    assert await otp.consume(Purpose.VERIFY_EMAIL, EMAIL, code.digits)
    await _sent_earlier(rest, 60_001)
    code = await _issued(Purpose.VERIFY_EMAIL)
    for _ in range(4):
        await otp.consume(Purpose.VERIFY_EMAIL, EMAIL, _wrong(code))
    assert await otp.consume(Purpose.VERIFY_EMAIL, EMAIL, code.digits), "success has cleared the first four"


async def test_twenty_wrong_in_a_day_close_it_for_the_day(rest: RestServer) -> None:
    code = await _issued()
    for _ in range(4):
        for _ in range(5):
            await otp.consume(Purpose.LOGIN, EMAIL, _wrong(code))
        for key in await rest.command("KEYS", "*:tries"):
            await rest.command("DEL", key.decode())  # a quarter of an hour later
    assert not await otp.consume(Purpose.LOGIN, EMAIL, code.digits)


@pytest.mark.parametrize(("purpose", "prefix"), [(Purpose.LOGIN, "otp:"), (Purpose.VERIFY_EMAIL, "email:")])
async def test_how_long_things_are_kept(rest: RestServer, purpose: Purpose, prefix: str) -> None:
    code = await _issued(purpose)
    await otp.consume(purpose, EMAIL, _wrong(code))
    lives = {
        key.decode().rpartition(":")[2]: int(await rest.command("PTTL", key.decode())) / 1000
        for key in await rest.command("KEYS", f"{prefix}*")
    }
    expected = {"code": 600, "sent": 3600, "tries": 900, "day": 86400}
    assert set(lives) == set(expected)
    assert all(expected[name] - 5 < left <= expected[name] for name, left in lives.items()), lives


async def test_a_minute_apart_and_five_an_hour(rest: RestServer) -> None:
    for number in range(5):
        assert await otp.issue(Purpose.LOGIN, EMAIL), number
        assert await otp.issue(Purpose.LOGIN, EMAIL) is None
        await _sent_earlier(rest, 60_001)
    assert await otp.issue(Purpose.LOGIN, EMAIL) is None
    await _sent_earlier(rest, 3_600_000)
    assert await otp.issue(Purpose.LOGIN, EMAIL)


async def test_discarded_code_never_was(rest: RestServer) -> None:
    code = await _issued()
    await otp.discard(code)
    assert not await otp.consume(Purpose.LOGIN, EMAIL, code.digits)
    newer = await _issued()
    assert newer.digits, "no minute has to pass"
    await otp.discard(code)
    assert await otp.consume(Purpose.LOGIN, EMAIL, newer.digits), "an older one takes no newer one with it"


@pytest.mark.slow
async def test_stored_form_gives_nothing_away_without_the_pepper(rest: RestServer) -> None:
    code = await _issued()
    (key,) = await rest.command("KEYS", "*:code")
    stored = (await rest.command("GET", key.decode())).decode()
    assert EMAIL not in key.decode()
    prefix = f"{Purpose.LOGIN}\0{EMAIL}\0".encode()
    found = [
        number
        for number in range(10**6)
        if stored in (sha256(text := prefix + b"%06d" % number).hexdigest(), hmac.digest(b"", text, "sha256").hex())
    ]
    assert found == []
    assert stored == otp.mac(Purpose.LOGIN, EMAIL, code.digits), "with the pepper it is found at once"


async def test_without_redis_there_are_no_codes(rest: RestServer) -> None:
    await rest.faults.set(Mode.REFUSE)
    with pytest.raises(UpstashUnavailable):
        await otp.issue(Purpose.LOGIN, EMAIL)
    with pytest.raises(UpstashUnavailable):
        await otp.consume(Purpose.LOGIN, EMAIL, "000000")
