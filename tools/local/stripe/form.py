"""Stripe's form encoding, `metadata[purchase_id]=p&expand[0]=latest_charge`, as dicts in dicts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from tools.local.stripe.errors import invalid

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")


def decode(encoded: str) -> dict[str, Any]:
    """Every value is text; a list is a dict of its indexes, since only who reads it knows that it is one."""
    decoded: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        match = _NAME.fullmatch(name)
        if match is None:
            raise invalid(f"Invalid parameter name: {name}", param=name)
        *outer, last = [match[1], *_PART.findall(match[2])]
        inner = decoded
        for part in outer:
            inner = inner.setdefault(part or str(len(inner)), {})
            if not isinstance(inner, dict):
                raise invalid(f"Invalid hash: {name}", param=name)
        inner[last or str(len(inner))] = value
    return decoded


def names(params: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """The full name of each value: `metadata[purchase_id]`."""
    for key, value in params.items():
        name = f"{within}[{key}]" if within else key
        if isinstance(value, dict):
            yield from names(value, name)
        else:
            yield name
