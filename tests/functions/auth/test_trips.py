"""What sign-in costs: Upstash requests of each operation, every script being known."""

from __future__ import annotations

from tests.conftest import Post
from tests.functions.auth.conftest import NewPerson
from tools.local.proxy import Mode
from tools.local.rest.server import RestServer


async def test_each_operation_makes_its_trips_and_no_more(new_person: NewPerson, rest: RestServer, post: Post) -> None:
    person = await new_person().register()
    await person.verify(await person.code())  # every script is known from here on
    person = new_person()
    seen = {}

    async def trips_of(name: str) -> None:
        seen[name] = rest.requests
        await rest.reset_counters()

    await rest.reset_counters()
    await person.register()
    await trips_of("register")
    await person.login()
    await trips_of("login")
    await person.get()
    await trips_of("session, first")
    await person.get()
    await trips_of("session")
    code = await person.code()
    await trips_of("code asked for")
    await person.verify(code)
    await trips_of("code verified")
    code = await person.code("reset_password")
    await rest.reset_counters()
    token = (await person.verify(code, "reset_password")).json()["reset_token"]
    await trips_of("reset allowed")
    await person.post("password/reset", reset_token=token, password=person.password)
    await trips_of("reset")
    await person.login()
    await rest.reset_counters()
    await person.post("logout", session=True)
    await trips_of("logout")
    await post.proxy.set(Mode.REFUSE)
    other = new_person()
    assert (await other.post("otp/request", email=other.email, purpose="login")).status_code == 503
    await trips_of("mail down")

    assert seen == {
        "register": 2,
        "login": 2,
        "session, first": 2,  # the user is not cached yet: the fill of it
        "session": 1,
        "code asked for": 2,
        "code verified": 3,
        "reset allowed": 2,
        "reset": 2,
        "logout": 2,
        "mail down": 3,
    }
