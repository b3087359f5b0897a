"""Who may see a creator's numbers: that creator and operators, as often as the policy says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.limits.operators import operator_of
from shared.settings import settings
from tests.functions.analytics.conftest import OPS_TOKEN, SignIn
from tests.functions.analytics.readers import Past, Reader, code_of, queries_of
from tools.local.rest.server import RestServer

ROUTES = ("earnings", "summary", "supporters")


@pytest.mark.parametrize("what", ROUTES)
async def test_creator_and_operators_see_the_same(creator: Reader, operator: Reader, what: str) -> None:
    own, theirs = await creator.get(what), await operator.get(what)
    assert (own.status_code, theirs.status_code) == (200, 200)
    assert own.content == theirs.content
    assert theirs.headers["x-cache"] == "hit"
    assert theirs.headers["ratelimit-policy"] == '"api";q=300;w=60'


@pytest.mark.parametrize("what", ROUTES)
async def test_others_are_refused_and_make_nobody_wait(
    creator: Reader, past: Past, sign_in: SignIn, rest: RestServer, what: str
) -> None:
    for is_creator in (True, False):
        other = await past.world.person(creator=is_creator)
        answer = await replace(creator, headers={"X-Session-Id": await sign_in(other)}).get(what)
        assert code_of(answer) == (403, "forbidden")
        assert queries_of(answer) == 0
    assert await rest.command("KEYS", "analytics:*") == [], "no lease was given to who may not see it"


@pytest.mark.parametrize("what", ROUTES)
async def test_fan_has_no_numbers_of_their_own(creator: Reader, past: Past, sign_in: SignIn, what: str) -> None:
    fan = await past.world.person()
    own = Reader(creator.http, fan, {"X-Session-Id": await sign_in(fan)})
    for queries in (2 if what == "supporters" else 1, 0):
        answer = await own.get(what)
        assert code_of(answer) == (403, "not_a_creator")
        assert queries_of(answer) == queries, "that there is nothing is remembered"


@pytest.mark.parametrize("what", ROUTES)
async def test_operator_who_asks_for_nobody_is_told(operator: Reader, what: str) -> None:
    answer = await replace(operator, creator_id=str(uuid4())).get(what)
    assert code_of(answer) == (404, "creator_not_found")


@pytest.mark.parametrize("what", ROUTES)
async def test_nobody_is_401_without_a_trip(creator: Reader, operator: Reader, rest: RestServer, what: str) -> None:
    await rest.reset_counters()
    for headers in (
        {},
        {"X-Session-Id": "x.y"},
        {"Authorization": f"Bearer {OPS_TOKEN}x"},
        {"Authorization": "Bearer"},
    ):
        answer = await replace(creator, headers=headers).get(what)
        assert code_of(answer) == (401, "unauthenticated")
    assert rest.requests == 0


@pytest.mark.parametrize("what", ROUTES)
async def test_id_that_is_none_is_422(operator: Reader, creator: Reader, what: str) -> None:
    for reader in (operator, creator):
        answer = await replace(reader, creator_id="luna").get(what)
        assert code_of(answer) == (422, "validation_failed")
        assert answer.json()["errors"][0]["field"] == "path.creator_id"


async def test_id_is_one_however_it_is_written(creator: Reader) -> None:
    await creator.get("summary")
    shouted = await replace(creator, creator_id=creator.creator_id.upper()).get("summary")
    assert (shouted.status_code, shouted.headers["x-cache"]) == (200, "hit")


async def test_ended_session_is_refused(creator: Reader) -> None:
    assert (await creator.http.post("/auth/logout", headers=creator.headers)).status_code == 204
    assert code_of(await creator.get("summary")) == (401, "unauthenticated")


async def test_201st_request_in_a_minute_is_denied_for_the_user_alone(
    creator: Reader, operator: Reader, rest: RestServer
) -> None:
    assert (await creator.get("summary")).headers["x-ratelimit-remaining"] == "199"
    (bucket,) = await rest.command("KEYS", "rate:analytics:user:*")
    index = int((await rest.command("GET", bucket.decode())).split(b":")[0])
    await rest.command("SET", bucket.decode(), f"{index + 1}:199:0")  # of a window that does not end meanwhile
    assert (await creator.get("summary")).headers["x-ratelimit-remaining"] == "0"
    for what in ROUTES:
        denied = await creator.get(what)
        assert code_of(denied) == (429, "rate_limited")
        assert 0 < int(denied.headers["retry-after"]) <= 120
        assert queries_of(denied) == 0
    assert (await operator.get("summary")).status_code == 200


def test_operators_are_known_by_name(fresh_process: pytest.MonkeyPatch) -> None:
    hashes = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in (("ada", "one"), ("bo.b", "two"))}
    fresh_process.setenv("OPS_TOKENS", f"ada:{hashes['ada']}, bo.b:{hashes['bo.b'].upper()}")
    fresh_process.setenv("OPS_TOKEN", "three")
    settings.cache_clear()
    tokens = ("one", "two", "three", "four", "", hashes["ada"], "\ud800")
    assert [operator_of(token) for token in tokens] == ["ada", "bo.b", "ops", None, None, None, None]


def test_without_settings_nobody_is_an_operator(fresh_process: pytest.MonkeyPatch) -> None:
    assert [operator_of(token) for token in ("", "ops", "x")] == [None, None, None]
