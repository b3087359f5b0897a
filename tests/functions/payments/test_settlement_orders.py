"""Whatever order webhooks come in, and however often, the books end where they were worked out by hand to end."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functions.payments.world import World
from tests.functions.payments.world_stories import Drawn, End, InOrder, Late, Story, Telling

pytestmark = pytest.mark.slow

# Stripe's fees: 59 of 999, 160 of 4499, 262 of 7999; 1500 for a dispute. A fan's tokens are rounded down when they are
# taken back; the cents that are lost with those owed too.
STORIES: dict[str, tuple[str, End]] = {
    "bought": (
        "buy a t100",
        End(
            *(100, 0, {"a": "paid"}),
            {"issued": -100, "purchases": 1, "stripe": 940, "stripe_fees": 59, "token_liability": -999},
        ),
    ),
    "declined, then paid": (
        "begin a t100, decline a, confirm a",
        End(
            *(100, 0, {"a": "paid"}),
            {"issued": -100, "purchases": 1, "stripe": 940, "stripe_fees": 59, "token_liability": -999},
        ),
    ),
    "declined, then given up": ("begin a t100, decline a, cancel a", End(0, 0, {"a": "failed"}, {})),
    "refunded before success was handled": (
        "buy a t100, refund a",
        End(0, 0, {"a": "refunded"}, {"purchases": 1, "refunds": 1, "stripe": -59, "stripe_fees": 59}),
    ),
    # 500 tokens for 4499: 1000 cents are 111 of them, 3000 are 333. 50 are left, 283 owed; 283/333 of 3000 is 2549.
    "two partial refunds of spent tokens": (
        "buy a t500, spend 450, refund a 1000, refund a 2000",
        End(
            *(0, 283, {"a": "paid"}),
            {"fee": 90, "issued": -167, "loss": 2549, "purchases": 1, "refunds": 2, "stripe": 1339}
            | {"stripe_fees": 160, "tips": 1, "token_liability": -4048},
        ),
    ),
    "a dispute of spent tokens, lost": (
        "buy a t1000, spend 1000, dispute a, lose a",
        End(
            *(0, 1000, {"a": "disputed"}),
            {"disputes": 1, "fee": 200, "loss": 7999, "purchases": 1, "stripe": -1762, "stripe_fees": 1762, "tips": 1}
            | {"token_liability": -7999},
        ),
    ),
    "a dispute of spent tokens, won": (
        "buy a t1000, spend 1000, dispute a, win a",
        End(
            *(0, 0, {"a": "paid"}),
            {"dispute_reverseds": 1, "disputes": 1, "fee": 200, "issued": -1000, "purchases": 1, "stripe": 6237}
            | {"stripe_fees": 1762, "tips": 1, "token_liability": -7999},
        ),
    ),
    # 1004 of 4499 cents are 111.6 tokens, of which 111 are taken.
    "a partial refund, and a dispute of the rest that is won": (
        "buy a t500, refund a 1004, dispute a, win a",
        End(
            *(389, 0, {"a": "paid"}),
            {"dispute_reverseds": 1, "disputes": 1, "issued": -389, "purchases": 1, "refunds": 1, "stripe": 1835}
            | {"stripe_fees": 1660, "token_liability": -3495},
        ),
    ),
    "a refund of spent tokens that fails": (
        "buy a t100, spend 100, refund a, fail a",
        End(
            *(0, 0, {"a": "paid"}),
            {"fee": 20, "issued": -100, "purchases": 1, "refund_reverseds": 1, "refunds": 1, "stripe": 940}
            | {"stripe_fees": 59, "tips": 1, "token_liability": -999},
        ),
    ),
    # 100 owed are repaid by the 500 of b; when b goes too, 100 are owed again, and they are a's: the oldest first.
    "a refund after the debt was repaid": (
        "buy a t100, spend 100, refund a, buy b t500, refund b",
        End(
            *(0, 100, {"a": "refunded", "b": "refunded"}),
            {"fee": 20, "loss": 999, "purchases": 2, "refunds": 2, "stripe": -219, "stripe_fees": 219, "tips": 1}
            | {"token_liability": -999},
        ),
    ),
    # 500 of 1100 are left, 600 are owed: a's 100 for 999, and 500 of b's 1000 for 7999.
    "two purchases of different price returned while tokens are owed": (
        "buy a t100, buy b t1000, spend 600, refund b, refund a",
        End(
            *(0, 600, {"a": "refunded", "b": "refunded"}),
            {"fee": 120, "loss": 4998, "purchases": 2, "refunds": 2, "stripe": -321, "stripe_fees": 321, "tips": 1}
            | {"token_liability": -4998},
        ),
    ),
    "half a debt repaid by a later purchase": (
        "buy a t100, buy b t1000, spend 600, dispute a, refund b, buy c t500, lose a",
        End(
            *(0, 100, {"a": "disputed", "b": "refunded", "c": "paid"}),
            {"disputes": 1, "fee": 120, "issued": -500, "loss": 999, "purchases": 3, "refunds": 1, "stripe": 2518}
            | {"stripe_fees": 1981, "tips": 1, "token_liability": -5498},
        ),
    ),
}
ALL_ORDERS = ("two partial refunds of spent tokens", "two purchases of different price returned while tokens are owed")

names = st.sampled_from("abc")
cents = st.sampled_from((1, 250, 999, 1000, 4000))
steps = st.one_of(
    st.builds(
        "{} {}".format, st.sampled_from(("refund", "dispute", "win", "lose", "fail", "confirm", "decline")), names
    ),
    st.builds("refund {} {}".format, names, cents),
    st.builds("spend {}".format, st.sampled_from((30, 450, 1600))),
)
any_story = st.lists(steps, min_size=4, max_size=9).map(
    lambda more: ["begin a t100", "buy b t500", "buy c t1000", *more]
)


async def told(world: World, steps: list[str], telling: Telling, *, http: bool = False) -> End:
    fan, creator = await world.person(), await world.person(creator=True)
    return await Story(world, fan, creator, telling, http).play(steps)


async def test_story_ends_as_worked_out_by_hand_when_told_in_order(world: World) -> None:
    ends = {name: await told(world, line.split(", "), InOrder(), http=True) for name, (line, _) in STORIES.items()}
    assert ends == {name: end for name, (_, end) in STORIES.items()}


@pytest.mark.parametrize("name", ALL_ORDERS)
async def test_story_ends_the_same_when_told_late_in_each_order(world: World, name: str) -> None:
    line, end = STORIES[name]
    for order in range(math.factorial(4)):  # two refunds: two events each
        assert await told(world, line.split(", "), Late(order)) == end, order


async def _check_story(world: World, data: st.DataObject) -> None:
    line, end = STORIES[data.draw(st.sampled_from(sorted(STORIES)))]
    assert await told(world, line.split(", "), Drawn(data)) == end


async def _check_any_story(world: World, story: list[str], data: st.DataObject) -> None:
    assert await told(world, story, Drawn(data)) == await told(world, story, InOrder())


_UNHURRIED = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=16
)
_LONG = settings(_UNHURRIED, max_examples=70)


@given(data=st.data())
@_UNHURRIED
async def test_story_ends_as_worked_out_however_it_is_told(world: World, data: st.DataObject) -> None:
    await _check_story(world, data)


@given(story=any_story, data=st.data())
@settings(_UNHURRIED, max_examples=8)
async def test_any_story_ends_the_same_however_it_is_told(world: World, story: list[str], data: st.DataObject) -> None:
    await _check_any_story(world, story, data)


@pytest.mark.slow
@given(data=st.data())
@_LONG
async def test_story_ends_as_worked_out_in_many_more_tellings(world: World, data: st.DataObject) -> None:
    await _check_story(world, data)


@pytest.mark.slow
@given(story=any_story, data=st.data())
@_LONG
async def test_many_more_stories_end_the_same_however_they_are_told(
    world: World, story: list[str], data: st.DataObject
) -> None:
    await _check_any_story(world, story, data)
