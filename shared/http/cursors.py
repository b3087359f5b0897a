"""Keyset cursors: where a list goes on, as unpadded base64url of a place in its order."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from shared.http.problems import InvalidCursor

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Counts, and times in microseconds up to the year 9999: what a bigint and a timestamptz both take.
MOST: Final = 253_402_300_799_999_999

_PLACE: Final = TypeAdapter(tuple[str, Annotated[int, Field(ge=0, le=MOST)], UUID])


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row seen: the order of the list, the row's value in it, and its id, which settles ties."""

    order: str
    value: int
    row_id: UUID

    def encode(self) -> str:
        place = to_json((self.order, self.value, self.row_id))
        return base64.urlsafe_b64encode(place).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, text: str, *, order: str) -> Cursor:
        """Raise InvalidCursor for whatever was not given out for a list in this order."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            cursor = cls(*_PLACE.validate_json(base64.b64decode(padded, altchars=b"-_", validate=True)))
        except ValueError:  # not ASCII, not base64, not JSON, not a place
            raise InvalidCursor from None
        if cursor.order != order or cursor.encode() != text:  # one place has one cursor, and one cache key
            raise InvalidCursor
        return cursor


def microseconds(moment: datetime) -> int:
    """A moment as a cursor's value: Unix microseconds, as exact as Postgres is."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The other way; a cursor holds no value that is beyond it."""
    return _EPOCH + timedelta(microseconds=microseconds)
