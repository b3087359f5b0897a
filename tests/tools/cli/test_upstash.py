"""`digis upstash`: a Redis of one's own behind the Upstash REST API, as many as one likes."""

from __future__ import annotations

import signal
from collections.abc import Callable

import httpx
import pytest

from tests.tools.cli.conftest import Running
from tests.tools.local.places import ours

Start = Callable[..., Running]

pytestmark = pytest.mark.slow  # processes of their own


def test_three_at_once_share_nothing(start: Start) -> None:
    urls = [start("upstash", "--port", "0").ready() for _ in range(3)]
    assert len(set(urls)) == 3
    for number, url in enumerate(urls):
        httpx.post(url, json=["SET", "number", str(number)], headers={"Authorization": "Bearer local"})
    found = [httpx.get(f"{url}/get/number?_token=local").json() for url in urls]
    assert found == [{"result": "0"}, {"result": "1"}, {"result": "2"}]


def test_prints_what_a_client_needs(start: Start) -> None:
    running = start("upstash", "--port", "0", "--token", "[secret]", "--read-only-token", "reader")
    url = running.ready()
    assert f"UPSTASH_REDIS_REST_URL={url}\nUPSTASH_REDIS_REST_TOKEN=[secret]\n" in running.output

    write = ["SET", "word", "x"]
    for token, command, status in (
        ("[secret]", write, 200),
        ("local", write, 401),
        ("reader", write, 400),
        ("reader", ["GET", "word"], 200),
    ):
        answer = httpx.post(url, json=command, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, (token, command, answer.text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left(start: Start, number: signal.Signals) -> None:
    before = ours()
    running = start("upstash", "--port", "0")
    running.ready()
    assert len(running.family()) == 2
    status = running.end(number)
    if number is signal.SIGKILL:
        assert status == -signal.SIGKILL
        again = start("upstash", "--port", "0")  # sweeps what could not be removed
        again.ready()
        again.end()
    else:
        assert status == 0
    assert ours() == before


def test_taken_port_is_said(start: Start) -> None:
    port = start("upstash", "--port", "0").ready().rpartition(":")[2]
    second = start("upstash", "--port", port)
    assert second.process.wait(30) == 1
    assert f"port {port} is taken: choose another with --port, or 0 for a free one" in second.output


@pytest.mark.parametrize("token", ["", "two words", "t\u00f6ken", "line\nbreak"])
def test_token_that_fits_in_no_header_is_refused(start: Start, token: str) -> None:
    running = start("upstash", "--port", "0", "--token", token)
    assert running.process.wait(30) == 2
    assert "printable ASCII" in running.output
