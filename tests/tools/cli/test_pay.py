"""`digis pay`: what the buyer does in the browser, from the command line, with a running `digis dev`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.tools.cli.conftest import digis, free_port
from tools.functions import ROOT

pytestmark = pytest.mark.slow  # a stack to pay at


@dataclass(frozen=True)
class Shop:
    """A running `digis dev`, and somebody who buys there."""

    url: str
    data: Path
    token: str

    def buy(self, package: str = "t100") -> str:
        headers = {"X-Session-Id": self.token, "Idempotency-Key": str(uuid4())}
        body = {"package_id": package}
        answer = httpx.post(f"{self.url}/payments/tokens/purchase", json=body, headers=headers, timeout=10)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["purchase"]["id"])

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/payments/{path}", headers={"X-Session-Id": self.token}, timeout=10)

    def status(self, purchase_id: str) -> str:
        return str(self.get(f"purchases/{purchase_id}").json()["purchase"]["status"])

    def tokens(self) -> int:
        return int(self.get("balance").json()["balance"]["tokens"])

    def pay(self, purchase_id: str, *options: str) -> tuple[int, str]:
        return digis("pay", purchase_id, "--data", self.data, *options, cwd=ROOT)


@pytest.fixture(scope="module")
def shop(dev: tuple[str, Path]) -> Shop:
    status, text = digis("session", "fan", "--data", dev[1], cwd=ROOT)
    assert status == 0, text
    return Shop(*dev, text.strip().splitlines()[-1])


def _assert_one_line(done: tuple[int, str], status: int, said: str) -> None:
    assert done[0] == status, done[1]
    assert said in re.sub(r"[\s│]+", " ", done[1]), done[1]
    assert "Traceback" not in done[1]
    if status == 1:
        assert done[1].startswith("digis: ")
        assert done[1].count("\n") == 1


def test_pay_makes_a_purchase_paid_and_says_so(shop: Shop) -> None:
    before = shop.tokens()
    purchase_id = shop.buy("t500")
    assert shop.status(purchase_id) == "pending"
    assert shop.pay(purchase_id) == (0, "paid: 500 tokens, 4499 cents\n")
    assert shop.status(purchase_id) == "paid"
    assert shop.tokens() == before + 500


def test_declined_purchase_is_failed_and_a_later_pay_makes_it_paid(shop: Shop) -> None:
    before = shop.tokens()
    purchase_id = shop.buy()
    status, text = shop.pay(purchase_id, "--decline")
    assert status == 0
    said = "declined: Your card was declined.\nfailed: 100 tokens, 999 cents\n"
    assert text == said
    assert shop.pay(purchase_id, "--decline") == (0, said), "failed again"
    assert shop.status(purchase_id) == "failed"
    assert shop.tokens() == before
    assert shop.pay(purchase_id) == (0, "paid: 100 tokens, 999 cents\n")
    assert shop.status(purchase_id) == "paid"
    assert shop.tokens() == before + 100


def test_purchase_that_is_paid_already_is_not_paid_again(shop: Shop) -> None:
    purchase_id = shop.buy()
    assert shop.pay(purchase_id)[0] == 0
    before = shop.tokens()
    for options in ([], ["--decline"]):
        _assert_one_line(shop.pay(purchase_id, *options), 1, "it has already succeeded")
    assert (shop.status(purchase_id), shop.tokens()) == ("paid", before)


def test_unknown_purchase_is_said_to_be_none(shop: Shop) -> None:
    purchase_id = str(uuid4())
    _assert_one_line(shop.pay(purchase_id), 1, f"there is no purchase {purchase_id}")


def test_what_is_no_uuid_is_a_wrong_argument(shop: Shop) -> None:
    for wrong in ("t100", "5", f"{uuid4()}x", ""):
        _assert_one_line(shop.pay(wrong), 2, "Input should be a valid UUID")
    _assert_one_line(digis("pay", cwd=ROOT), 2, "Missing argument")


def test_without_a_running_dev_it_says_so(place: Path) -> None:
    _assert_one_line(digis("pay", str(uuid4()), cwd=place), 1, "no digis dev runs with the data directory .digis")


def test_key_of_another_stripe_in_the_shell_is_not_used(shop: Shop, place: Path) -> None:
    purchase_id = shop.buy()
    env = {"STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}", "STRIPE_SECRET_KEY": "sk_live_of_somebody"}
    done = digis("pay", purchase_id, "--data", shop.data, cwd=place, env=env)
    assert done == (0, "paid: 100 tokens, 999 cents\n")


def test_database_out_of_reach_is_one_line(shop: Shop, place: Path) -> None:
    purchase_id = shop.buy()
    env = {"DATABASE_URL": f"postgresql://digis:secret@127.0.0.1:{free_port()}/digis"}
    done = digis("pay", purchase_id, "--data", shop.data, cwd=place, env=env)
    assert "digis: the database does not answer" in done[1]
    assert (done[0], "secret" in done[1], "Traceback" in done[1]) == (1, False, False)
    assert shop.status(purchase_id) == "pending"


def test_stripe_out_of_reach_is_one_line_and_pay_works_again_afterwards(shop: Shop) -> None:
    purchase_id = shop.buy()
    for mode, said in (("refuse", "digis: Stripe does not answer"), ("down", "digis: Stripe: ")):
        assert digis("fault", "stripe", mode, "--data", shop.data, cwd=ROOT)[0] == 0
        _assert_one_line(shop.pay(purchase_id), 1, said)
        assert digis("fault", "stripe", "ok", "--data", shop.data, cwd=ROOT)[0] == 0
    assert shop.pay(purchase_id) == (0, "paid: 100 tokens, 999 cents\n")
