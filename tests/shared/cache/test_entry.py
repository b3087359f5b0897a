"""What is in Redis, as this version reads it; whatever else is there is a miss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cache.entry import Entry, Fetched, State, jittered_ms


def test_value_and_absence_are_told_apart() -> None:
    value = Entry.decode('1v1763890000000:0a1b::0\n{"a":1}\nmore')
    assert value == Entry('{"a":1}\nmore', "0a1b", 1763890000000)
    assert Entry.decode("1a1763890000000:::0\n") == Entry(None, "", 1763890000000)
    assert Entry.decode("1v5:0a1b:9d2e:1763890005000\n") == Entry("", "0a1b", 5)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "{}",
        "1l0::9d2e:1763890005000\n",
        "2v1:::0\nx",
        "1x1:::0\nx",
        "1v:::0\nx",
        "1v-1:::0\nx",
        "1v1:::0x",
        "1v1:g::0\nx",
        "1v1::0\nx",
        " 1v1:::0\nx",
    ],
)
def test_what_this_version_did_not_write_is_a_miss(raw: str | None) -> None:
    assert Entry.decode(raw) is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    Entry.decode(text)
    entry = Entry.of(text)
    if "\ud800" <= max(text, default="a") <= "\udfff":
        return
    assert Entry.decode(f"1v5:{entry.etag}::0\n{text}") == Entry(text, entry.etag, 5)


def test_etag_is_of_the_body_alone() -> None:
    assert Entry.of("a").etag == Entry.of("a").etag != Entry.of("b").etag
    assert Entry.of(None).etag == ""


@pytest.mark.parametrize("state", [None, 3, -1, "0", [], 1.5])
def test_answer_of_another_kind_is_none(state: object) -> None:
    assert Fetched.of("k", "t", state, "raw") == Fetched("k")


def test_answer_of_a_lookup() -> None:
    assert Fetched.of("k", "t", 1, None) == Fetched("k", None, State.LEASED_TO_US, "t")


def test_times_differ_by_up_to_a_tenth() -> None:
    found = {jittered_ms(60) for _ in range(500)}
    assert 54_000 <= min(found) < 55_500
    assert 58_500 < max(found) <= 60_000
