"""Ratios from one run: the things compared take turns, so that what disturbs one disturbs the other."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Round = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Result:
    """One number of a benchmark. `target` is the most or, with `at_least`, the least that it should be."""

    id: str
    name: str
    value: float
    target: float | None
    spread: tuple[float, float]
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "value": round(self.value, 3),
            "target": self.target,
            "met": self.met,
            "spread": [round(bound, 3) for bound in self.spread],
        }


async def interleave(contestants: Mapping[str, Round], rounds: int) -> dict[str, list[float]]:
    """Run every contestant once a round, the order turning; return each one's figures. The first round warms up."""
    names = list(contestants)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figure = await contestants[name]()
            if number:
                figures[name].append(figure)
    return figures


def median(id_: str, name: str, figures: list[float], *, target: float | None = None) -> Result:
    return Result(id_, name, statistics.median(figures), target, (min(figures), max(figures)))


def ratio(
    id_: str, name: str, one: list[float], other: list[float], *, target: float | None = None, at_least: bool = False
) -> Result:
    """How many times `other` goes into `one`, round by round."""
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return Result(id_, name, statistics.median(ratios), target, (min(ratios), max(ratios)), at_least)
