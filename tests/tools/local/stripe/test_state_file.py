"""A laptop's payments outlive a restart of the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tools.local.stripe.endpoint import Endpoint
from tests.tools.local.stripe.sdk import connect, intend, onboarded, pay, transfer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

CREATE: Any = {"amount": 500, "currency": "usd"}
KEY: Any = {"idempotency_key": "key-1"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "digis" / "stripe.jsonl"


def read(file: Path) -> str:
    return file.read_text()


def overwrite(file: Path, text: str) -> None:
    file.write_text(text)


async def test_everything_is_there_again(file: Path) -> None:
    async with FakeStripe(state_file=file) as before, connect(before) as client:
        paid = await pay(client)
        before.close_dispute(before.dispute((await pay(client)).id)["id"], won=True)
        before.refund(paid.id, 300)
        keyed = await client.payment_intents.create_async(CREATE, KEY)
        before.top_up(1000)
        creator = await onboarded(client, before)
        await client.account_links.create_async({"account": creator, "type": "account_onboarding"})
        before.reverse((await transfer(client, creator, 200)).id, 50)
    for _ in range(2):  # the second time from the file that was written anew
        async with FakeStripe(state_file=file) as after, connect(after) as client:
            assert after._store.tables == before._store.tables
            assert after.balance_cents == before.balance_cents
            assert (await client.payment_intents.create_async(CREATE, KEY)).id == keyed.id
            assert (await client.payment_intents.list_async()).data[-1].id == paid.id
    async with FakeStripe(state_file=file) as after:
        assert after.confirm(keyed.id)["status"] == "succeeded"


async def test_it_is_written_as_it_happens_and_what_was_cut_off_never_happened(file: Path) -> None:
    async with FakeStripe(state_file=file) as before, connect(before) as client:
        kept, cut_off = await intend(client), await intend(client)
        written = read(file)  # by now: a process that is killed does not close its file
    end = written.rindex(cut_off.id)
    overwrite(file, written[:end])
    async with FakeStripe(state_file=file) as after:
        assert list(after.payment_intents) == [kept.id]
        assert [event["data"]["object"]["id"] for event in after.events] == [kept.id]
    assert len(read(file).splitlines()) == 1


async def test_ids_are_new_after_a_restart(file: Path) -> None:
    seen: set[str] = set()
    for count in range(1, 4):
        async with FakeStripe(state_file=file) as fake, connect(fake) as client:
            seen.add((await intend(client)).id)
            assert set(fake.payment_intents) == seen
            assert len(seen) == count


async def test_what_was_put_off_is_done_after_the_restart(file: Path, endpoint: Endpoint) -> None:
    async with FakeStripe(state_file=file, webhook_url=endpoint.url, delay_seconds=3600) as fake:
        async with connect(fake) as client:
            await pay(client, method="pm_card_createDispute")
        assert (len(fake.disputes), endpoint.types) == (0, [])
    async with FakeStripe(state_file=file, webhook_url=endpoint.url, delay_seconds=0) as fake:
        await fake.delivered()
        assert len(fake.disputes) == 1
        assert sorted(endpoint.types) == sorted(event["type"] for event in fake.events)
    async with FakeStripe(state_file=file, webhook_url=endpoint.url, delay_seconds=0) as fake:
        await fake.delivered()
        assert len(endpoint.payloads) == len(fake.events)  # none again


async def test_a_pruned_key_is_gone_from_the_file(file: Path) -> None:
    async with FakeStripe(state_file=file) as fake, connect(fake) as client:
        await fake.faults.set(Mode.ERROR_500, count=1)
        with pytest.raises(Exception, match="error"):
            await client.payment_intents.create_async(CREATE, KEY)
        fake.advance(24 * 3600)
        await intend(client)
    async with FakeStripe(state_file=file) as fake:
        assert "key-1" not in fake._store.tables["idempotency"]


async def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps([]))
    with pytest.raises(OSError, match="file"):
        await FakeStripe(state_file=tmp_path / "file" / "stripe.jsonl").start()
