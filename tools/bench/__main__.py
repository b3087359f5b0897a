"""`make bench`: measure, compare with the targets, and write results/latest.*."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tools.bench import cached, client, cold, lock, report, sign_in
from tools.cli.screen import out, step, table
from tools.deploy.python import VERSION, PythonMissing


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything takes its turn; more is steadier.")] = 7,
    results: Annotated[Path, typer.Option(help="Where the results are written.")] = report.RESULTS,
    *,
    smoke: Annotated[bool, typer.Option("--smoke", help="One round, to see that it runs: judges nothing.")] = False,
) -> None:
    """Measure ratios, side by side in one run, and exit 1 when a target is missed."""
    rounds = 1 if smoke else rounds
    step(f"client: {rounds} rounds at {', '.join(map(str, client.CONCURRENT))} concurrent callers")
    found = asyncio.run(client.measure(rounds))
    try:
        step(f"cold starts: {rounds} rounds, each a new process on Python {VERSION}")
        found += asyncio.run(cold.measure(rounds))
    except PythonMissing as missing:
        step(f"cold starts are left out: {missing}")
    pairs = 8 if smoke else sign_in.PAIRS
    step(f"sign-in: {pairs} times somebody and nobody, of each operation")
    found += asyncio.run(sign_in.measure(pairs))
    step(f"the lock: {rounds} rounds of {lock.AT_ONCE} payouts of one creator at once, with it and without")
    found += asyncio.run(lock.measure(rounds))
    postings = 30_000 if smoke else cached.POSTINGS
    step(f"cached reads: {rounds} rounds over {postings:,} postings")
    found += asyncio.run(cached.measure(rounds, postings))
    report.write(found, results)
    table(
        ("what", "median", "target", ""),
        [(r.name, f"{r.value:,.2f}", "" if r.target is None else f"{r.target:g}", _verdict(r.met)) for r in found],
    )
    out.print(f"written to {results}")
    if not smoke and any(result.met is False for result in found):
        raise typer.Exit(1)


def _verdict(met: bool | None) -> str:  # noqa: FBT001
    return {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[met]


if __name__ == "__main__":
    typer.run(main)
