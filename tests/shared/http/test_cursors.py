"""Cursors: one place, one text; any other text is refused."""

from __future__ import annotations

import base64
import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.cursors import MOST, Cursor
from shared.http.problems import InvalidCursor

ID = UUID("00000000-0000-4000-8000-00000000abcd")


def _text(place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).rstrip(b"=").decode()


@given(value=st.integers(0, MOST), row_id=st.uuids(), order=st.sampled_from(["followers", "newest"]))
def test_cursor_comes_back_as_it_was(value: int, row_id: UUID, order: str) -> None:
    cursor = Cursor(order, value, row_id)
    text = cursor.encode()
    assert Cursor.decode(text, order=order) == cursor
    assert "=" not in text
    assert text.isascii()


@given(st.text(max_size=60))
def test_text_of_ones_own_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(text, order="followers")


@pytest.mark.parametrize(
    "text",
    [
        _text(["newest", 1, str(ID)]),
        _text(["followers", -1, str(ID)]),
        _text(["followers", MOST + 1, str(ID)]),
        _text(["followers", 1.5, str(ID)]),
        _text(["followers", "x", str(ID)]),
        _text(["followers", 1, "x"]),
        _text(["followers", 1]),
        _text(["followers", 1, str(ID), 1]),
        _text({"followers": 1}),
        _text(["followers", 1, str(ID).upper()]),
        _text(["followers", 1, "0" * 12 + "4" + "0" * 3 + "8" + "0" * 11 + "abcd"]),
        Cursor("followers", 1, ID).encode() + "=",
        Cursor("followers", 1, ID).encode() + "A",
        " " + Cursor("followers", 1, ID).encode(),
        "",
    ],
)
def test_other_spelling_of_a_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(text, order="followers")
