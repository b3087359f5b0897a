"""What the commands print: steps as they happen, tables, and errors with a way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def step(message: str) -> None:
    """One thing done."""
    out.print(f"[green]·[/] {escape(message)}")


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Say what is wrong and what to do about it, and end."""
    err.print(f"[bold red]digis:[/] {escape(message)}")
    raise typer.Exit(code)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    out.print(shown)
