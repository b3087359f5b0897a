"""One-time codes over HTTP: what they are good for, and what they are not."""

from __future__ import annotations

import httpx
import pytest

from functions.auth import passwords
from tests.conftest import Post
from tests.functions.auth.conftest import NewPerson
from tests.functions.auth.people import Person, forget_limits
from tools.local.rest.server import RestServer


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def _let_a_minute_pass(rest: RestServer) -> None:
    """When codes went out was a minute earlier."""
    for key in [found.decode() for found in await rest.command("KEYS", "*:sent")]:
        times = (await rest.command("GET", key)).decode().split(",")
        await rest.command("SET", key, ",".join(str(int(at) - 60_001) for at in times), "KEEPTTL")


async def test_sign_in_by_code(person: Person) -> None:
    await person.register()
    asked = await person.post("otp/request", email=person.email, purpose="login")
    assert (asked.status_code, asked.json()) == (202, {"success": True, "expires_in": 600})
    answer = await person.verify(person.mailed_code())
    assert answer.status_code == 200
    assert set(answer.json()) == {"success", "user", "session", "device_token"}
    assert answer.json()["user"]["email_verified"] is True
    assert (await person.get(token=answer.json()["session"]["token"])).status_code == 200
    assert _code(await person.verify(person.mailed_code())) == (401, "invalid_code"), "it was used"


async def test_code_is_good_for_its_purpose_and_its_address_alone(new_person: NewPerson) -> None:
    person, other = await new_person().register(), await new_person().register()
    code = await person.code("login")
    assert _code(await person.verify(code, "reset_password")) == (401, "invalid_code")
    assert _code(await other.verify(code, "login")) == (401, "invalid_code")
    assert (await person.verify(code, "login")).status_code == 200


async def test_address_is_verified_with_that_accounts_session(new_person: NewPerson) -> None:
    person, other = await new_person().register(), await new_person().register()
    code = await person.code("verify_email")
    assert _code(await person.verify(code, "verify_email")) == (401, "unauthenticated")
    stranger = await other.post("otp/verify", session=True, email=person.email, purpose="verify_email", code=code)
    assert _code(stranger) == (401, "unauthenticated")
    answer = await person.verify(code, "verify_email", session=True)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "verified": True})
    assert (await person.get()).json()["user"]["email_verified"] is True
    assert (await person.post("login", email=person.email, password=person.password)).status_code == 200


async def test_password_is_reset_once_and_all_sessions_end(person: Person, post: Post) -> None:
    await person.register()
    answer = await person.verify(await person.code("reset_password"), "reset_password")
    assert answer.status_code == 200
    token = answer.json()["reset_token"]
    assert set(answer.json()) == {"success", "reset_token"}

    reset = await person.post("password/reset", reset_token=token, password="another long one")
    assert (reset.status_code, reset.content) == (204, b"")
    assert _code(await person.get()) == (401, "unauthenticated")
    assert post.mailbox.messages[0].to == person.email
    assert "changed" in post.mailbox.messages[0].subject
    assert _code(await person.post("login", email=person.email, password=person.password)) == (
        401,
        "invalid_credentials",
    )
    person.password = "another long one"
    await person.login()
    again = await person.post("password/reset", reset_token=token, password="a third long one")
    assert _code(again) == (401, "invalid_code")


async def test_newer_reset_token_kills_an_older(person: Person, rest: RestServer) -> None:
    await person.register()
    older = (await person.verify(await person.code("reset_password"), "reset_password")).json()["reset_token"]
    await _let_a_minute_pass(rest)
    newer = (await person.verify(await person.code("reset_password"), "reset_password")).json()["reset_token"]
    assert _code(await person.post("password/reset", reset_token=older, password="x" * 10)) == (401, "invalid_code")
    assert (await person.post("password/reset", reset_token=newer, password="x" * 10)).status_code == 204


async def test_attackers_account_with_a_victims_address_is_the_victims_from_the_first_code_on(
    new_person: NewPerson,
) -> None:
    attacker = await new_person().register()
    victim = Person(attacker.http, attacker.mailbox, username=attacker.username)
    answer = await victim.verify(await victim.code("login"))
    assert answer.status_code == 200
    assert _code(await attacker.get()) == (401, "unauthenticated")
    login = await attacker.post("login", email=attacker.email, password=attacker.password)
    assert _code(login) == (401, "invalid_credentials")
    assert (await victim.get(token=answer.json()["session"]["token"])).status_code == 200


@pytest.mark.parametrize("proof", ["login", "reset_password"])
async def test_attackers_login_that_is_under_way_meanwhile_comes_too_late(
    new_person: NewPerson, monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    attacker = await new_person().register()
    victim = Person(attacker.http, attacker.mailbox, username=attacker.username)
    real = passwords.is_right

    async def slowly(password: str, stored: str) -> bool:
        monkeypatch.setattr(passwords, "is_right", real)
        fits = await real(password, stored)
        answer = await victim.verify(await victim.code(proof), proof)  # between the comparison and the session
        if proof == "reset_password":
            token = answer.json()["reset_token"]
            await victim.post("password/reset", reset_token=token, password="the victim's own")
        return fits

    monkeypatch.setattr(passwords, "is_right", slowly)
    answer = await attacker.post("login", email=attacker.email, password=attacker.password)
    assert _code(answer) == (401, "invalid_credentials")


async def test_resend_within_a_minute_is_the_same_answer_and_no_mail(
    person: Person, post: Post, rest: RestServer
) -> None:
    await person.register()
    first = await person.code()
    answer = await person.post("otp/request", email=person.email, purpose="login")
    assert (answer.status_code, answer.json()["expires_in"]) == (202, 600)
    assert len(post.mailbox.messages) == 1
    await _let_a_minute_pass(rest)
    second = await person.code()
    assert len(post.mailbox.messages) == 2
    if first != second:
        assert _code(await person.verify(first)) == (401, "invalid_code"), "the newer took its place"
    assert (await person.verify(second)).status_code == 200


async def test_five_mails_an_hour(person: Person, post: Post, rest: RestServer) -> None:
    await person.register()
    for _ in range(6):
        await forget_limits(rest)
        assert (await person.post("otp/request", email=person.email, purpose="login")).status_code == 202
        await _let_a_minute_pass(rest)
    assert len(post.mailbox.messages) == 5


async def test_nobody_and_somebody_verified_are_answered_alike_and_not_mailed(
    new_person: NewPerson, post: Post
) -> None:
    nobody = new_person()
    assert (await nobody.post("otp/request", email=nobody.email, purpose="login")).status_code == 202
    luna = await nobody.post("otp/request", email="luna@digis.test", purpose="verify_email")
    assert luna.status_code == 202, "verified long ago"
    assert not post.mailbox.messages


async def test_mail_says_what_it_is_for_and_six_digits_once(person: Person, post: Post) -> None:
    await person.register()
    code = await person.code("reset_password")
    (mail,) = post.mailbox.messages
    assert mail.to == person.email
    assert "new password" in mail.text
    assert mail.text.count(code) == 1
    shown = (await person.http.get("/dev/mailbox")).json()
    assert "error" in shown or shown["messages"][0]["to"] == person.email
