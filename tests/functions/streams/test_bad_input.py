"""Whatever is sent to the streams' routes is answered with a 4xx problem, and never a 5xx."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.limits.gate import blocked
from tests.functions.auth.people import forget_limits
from tests.functions.streams.people import UNKNOWN, Person
from tools.local.rest.server import RestServer

PATHS = ["", "/live", "/{id}", "/{id}/heartbeat", "/{id}/viewers"]
IDS = ["nonsense", "%00", "%ff%fe", "..%2f..", UNKNOWN.replace("-", ""), f"%7B{UNKNOWN}%7D", f"urn:uuid:{UNKNOWN}", "0"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["title", "viewer", "x"]), inner),
    max_leaves=5,
)


async def test_id_that_is_none_is_a_4xx(luna: Person) -> None:
    for stream_id in IDS:
        for path in PATHS[2:]:
            for method in ("GET", "POST", "DELETE"):
                url = f"/streams{path.format(id=stream_id)}"
                answer = await luna.http.request(method, url, headers=luna.headers)
                assert 400 <= answer.status_code < 500, (method, url, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
        blocked.clear()


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PATCH"]),
    path=st.sampled_from(PATHS),
    stream_id=st.sampled_from([UNKNOWN, *IDS]),
    query=st.dictionaries(st.sampled_from(["limit", "cursor"]), st.text(string.printable + "é\x00\u202e", max_size=30)),
    body=st.one_of(st.binary(max_size=50), JSON),
    signed_in=st.booleans(),
)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
async def test_nothing_sent_is_a_5xx(
    luna: Person,
    rest: RestServer,
    method: str,
    path: str,
    stream_id: str,
    query: dict[str, str],
    body: Any,
    signed_in: bool,  # noqa: FBT001 -- hypothesis gives it by name
) -> None:
    await forget_limits(rest)
    content = body if isinstance(body, bytes) else _encoded(body)
    headers = {"Content-Type": "application/json"} | (luna.headers if signed_in else {})
    url = f"/streams{path.format(id=stream_id)}"
    answer = await luna.http.request(method, url, params=query, content=content, headers=headers)
    assert answer.status_code < 500, (method, url, query, content)
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"


def _encoded(body: Any) -> bytes:
    return json.dumps(body).encode()
