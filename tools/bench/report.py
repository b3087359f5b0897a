"""Where results go: a file for programs, a page for people, and a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

from tools.bench.measure import Result

RESULTS: Final = Path(__file__).parent / "results"

_VERDICTS: Final = {True: "met", False: "**missed**", None: ""}


def write(results: Sequence[Result], directory: Path = RESULTS) -> None:
    """`latest.json`, `latest.md` and `latest.svg`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.json").write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")
    (directory / "latest.md").write_text(_page(results))
    _plot(results, directory / "latest.svg")


def _page(results: Sequence[Result]) -> str:
    rows = [
        f"| {result.name} | {result.value:,.2f} | {_target(result)} | {_VERDICTS[result.met]} "
        f"| {result.spread[0]:,.2f} to {result.spread[1]:,.2f} |"
        for result in results
    ]
    head = "| what | median | target | | spread |\n|---|---|---|---|---|"
    return "\n".join(["# Benchmarks", "", "Written by `make bench`.", "", head, *rows, "", "![](latest.svg)", ""])


def _target(result: Result) -> str:
    if result.target is None:
        return ""
    return f"{'at least' if result.at_least else 'at most'} {result.target:g}"


def _plot(results: Sequence[Result], file: Path) -> None:
    """A bar for each result that has a target, as a part of it."""
    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415 -- after its backend was chosen

    aimed = [result for result in results if result.target]
    figure, axes = pyplot.subplots(figsize=(8, 1 + 0.5 * len(aimed)))
    parts = [result.value / result.target for result in aimed if result.target]
    axes.barh([result.name for result in aimed], parts, color=["#2a7" if r.met else "#c33" for r in aimed])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("value / target")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
