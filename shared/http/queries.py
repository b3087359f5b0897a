"""Query parameters, read strictly."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def whole_number(text: object) -> object:
    """Digits and nothing else: Python alone would also take `1_0`, `+5` and `5.0`. Raise ValueError."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("should be a whole number, in digits")
    return text


class PageQuery(BaseModel):
    """Which page of a list, and how long it is."""

    model_config = ConfigDict(frozen=True)

    cursor: str | None = None
    limit: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=100)] = 24
