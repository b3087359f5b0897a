"""One endpoint of the API: what a module in `resources` lists in its ROUTES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.local.stripe.account import Account
from tools.local.stripe.params import Params
from tools.local.stripe.store import Json


@dataclass(frozen=True)
class Call:
    """A request as an endpoint sees it. `ids` are those in its path, in order."""

    path: str
    ids: tuple[str, ...]
    params: Params

    @property
    def id(self) -> str:
        return self.ids[0]


@dataclass(frozen=True)
class Route:
    """`path` has `{id}` where an id stands; `params` are those known; `kind` is of what it answers with."""

    method: str
    path: str
    act: Callable[[Account, Call], Json]
    kind: str
    params: frozenset[str] = frozenset()
    is_list: bool = False

    def match(self, method: str, path: str) -> tuple[str, ...] | None:
        """The ids in the path, or None when this is not its endpoint."""
        patterns, parts = self.path.split("/"), path.split("/")
        if method != self.method or len(patterns) != len(parts):
            return None
        pairs = list(zip(patterns, parts, strict=True))
        if all(bool(part) if pattern == "{id}" else part == pattern for pattern, part in pairs):
            return tuple(part for pattern, part in pairs if pattern == "{id}")
        return None
