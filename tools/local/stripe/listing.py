"""Stripe's lists: the newest first, in pages by the id of an object."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

from tools.local.stripe.errors import invalid, missing
from tools.local.stripe.params import Params
from tools.local.stripe.store import Json

_BOUNDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_DEFAULT_LIMIT: Final = 10
_MAX_LIMIT: Final = 100


def page(oldest_first: Iterable[Json], params: Params, url: str, *, same: Iterable[str] = ()) -> Json:
    """A page of those within `created`, and equal in each field of `same` that has a parameter."""
    wanted = {field: value for field in same if (value := params.text(field))}
    bounds = params.created()
    found = [
        each
        for each in oldest_first
        if all(each.get(field) == value for field, value in wanted.items())
        and all(_BOUNDS[bound](each["created"], seconds) for bound, seconds in bounds.items())
    ]
    found.reverse()
    shown, has_more = _cut(found, params)
    return {"object": "list", "data": shown, "has_more": has_more, "url": url}


def whole(oldest_first: Iterable[Json], url: str) -> Json:
    """The list within an object, when that is expanded."""
    shown = list(oldest_first)[::-1]
    return {
        "object": "list",
        "data": shown[:_DEFAULT_LIMIT],
        "has_more": len(shown) > _DEFAULT_LIMIT,
        "url": url,
    }


def _cut(found: list[Json], params: Params) -> tuple[list[Json], bool]:
    limit = params.integer("limit")
    limit = _DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= _MAX_LIMIT:
        raise invalid(f"This value must be between 1 and {_MAX_LIMIT}.", param="limit")
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        raise invalid("You can only use one of starting_after and ending_before", param="ending_before")
    if before:
        end = _position(found, before, "ending_before")
        return found[max(0, end - limit) : end], end > limit
    start = _position(found, after, "starting_after") + 1 if after else 0
    return found[start : start + limit], len(found) > start + limit


def _position(found: list[Json], object_id: str, param: str) -> int:
    for position, each in enumerate(found):
        if each["id"] == object_id:
            return position
    raise missing("object", object_id, param=param, status=400)
