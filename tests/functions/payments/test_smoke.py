from tests.functions.payments.people import Buyer
from tools.local.stripe.server import FakeStripe


async def test_it(fan: Buyer, luna: Buyer, stripe: FakeStripe) -> None:
    bought = await fan.buy("t500")
    assert await fan.purchase_status(bought["id"]) == "paid"
    assert await fan.tokens() == 10_500
    assert (await fan.charge("luna", 10_400)).status_code == 201
    stripe.refund(bought["payment_intent"], 1000)
    await stripe.delivered()
    assert await fan.tokens() == 10_500 - 10_400 - 111
    stripe.refund(bought["payment_intent"])
    await stripe.delivered()
    assert await fan.purchase_status(bought["id"]) == "refunded"
    assert await fan.tokens() == -400
    await fan.buy("t1000")
    assert await fan.tokens() == 600
