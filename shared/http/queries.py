"""Query parameters, read strictly."""

from __future__ import annotations


def whole_number(text: object) -> object:
    """Digits and nothing else: Python alone would also take `1_0`, `+5` and `5.0`. Raise ValueError."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("should be a whole number, in digits")
    return text
