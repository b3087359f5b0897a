"""What we take of the pinned SDK without calling its constructors: it has to stay what it is."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from upstash_redis.asyncio import client as sdk_client

from shared.upstash import client as our_client
from tools.functions import ROOT


def _attributes_set_by(function: Any) -> set[str]:
    """The attributes of self that a constructor sets."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }


@pytest.mark.parametrize(
    ("stock", "ours", "replaced"),
    [
        # What only the stock transport reads: our `execute` and `exec` never come to it.
        (sdk_client.Redis, our_client.Upstash, {"_http", "_read_your_writes", "_sync_token"}),
        (
            sdk_client.AsyncPipeline,
            our_client._Pipeline,
            {"_http", "_url", "_headers", "_set_sync_token_header_fn"},
        ),
    ],
)
def test_constructors_set_what_the_sdks_own_do(stock: Any, ours: Any, replaced: set[str]) -> None:
    missing = _attributes_set_by(stock.__init__) - _attributes_set_by(ours.__init__) - replaced
    assert missing == set()


def test_httpx_stays_out_of_a_process_that_does_not_need_it() -> None:
    code = "import sys, shared.upstash.client; print('httpx' in sys.modules, 'upstash_redis' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "True"]


def test_stock_clients_still_work_in_the_same_process() -> None:
    code = """
import shared.upstash.client
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
import httpx
assert isinstance(Redis("https://db.example", "token")._http._client, httpx.Client)
assert isinstance(AsyncRedis("https://db.example", "token")._http._client, httpx.AsyncClient)
print("fine")
"""
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.stdout == "fine\n", shown.stderr
