"""Results: judged by their targets, and written where programs and people find them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.bench import report
from tools.bench.measure import Result, interleave, median, ratio


@pytest.mark.parametrize(
    ("value", "target", "at_least", "met"),
    [(5, 10, False, True), (11, 10, False, False), (11, 10, True, True), (9, 10, True, False), (5, None, False, None)],
)
def test_target_is_a_bound_from_above_or_from_below(
    value: float, target: float | None, *, at_least: bool, met: bool | None
) -> None:
    assert Result("id", "name", value, target, (value, value), at_least).met is met


def test_ratio_is_of_each_round_by_itself() -> None:
    found = ratio("id", "name", [2, 40, 6], [1, 10, 2])
    assert (found.value, found.spread) == (3, (2, 4))
    assert median("id", "name", [3, 1, 2]).value == 2


async def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    async def run(name: str) -> float:
        order.append(name)
        return len(order)

    figures = await interleave({"a": lambda: run("a"), "b": lambda: run("b")}, rounds=2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [4, 5], "b": [3, 6]}


def test_results_are_written_for_programs_and_people(tmp_path: Path) -> None:
    results = [median("one", "CPU, µs", [1.5], target=2), median("two", "other", [3])]
    report.write(results, tmp_path / "new")
    assert json.loads((tmp_path / "new" / "latest.json").read_text()) == [
        {"id": "one", "name": "CPU, µs", "value": 1.5, "target": 2, "met": True, "spread": [1.5, 1.5]},
        {"id": "two", "name": "other", "value": 3, "target": None, "met": None, "spread": [3, 3]},
    ]
    assert "| CPU, µs | 1.50 | at most 2 | met | 1.50 to 1.50 |" in (tmp_path / "new" / "latest.md").read_text()
    assert "<svg" in (tmp_path / "new" / "latest.svg").read_text()
