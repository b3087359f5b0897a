"""Text that people write and others read: what may be in it."""

from __future__ import annotations

import unicodedata
from typing import Final

from pydantic import AfterValidator, BaseModel, ConfigDict

# They turn the text around them: a name that reads as another's.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REFUSED: Final = {"Cc", "Cs", "Zl", "Zp"}  # controls, half characters, separators of lines and paragraphs


def _plain(text: str) -> str:
    if any(character in _BIDI or unicodedata.category(character) in _REFUSED for character in text):
        raise ValueError("control characters, line breaks and marks of direction are not taken")
    return text


PLAIN: Final = AfterValidator(_plain)  # after the constraints: `Annotated[str, StringConstraints(...), PLAIN]`


class Body(BaseModel):
    """What a request's JSON body is read into: `"5"`, `1.5` and `true` are no integers. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)
