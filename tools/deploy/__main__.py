"""`make package`: a zip for each function and architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.cli.screen import fail, out, step, table
from tools.deploy.bundle import Architecture, BundleFailed, build
from tools.deploy.python import PythonMissing
from tools.deploy.run import ends_like_ctrl_c
from tools.functions import ROOT, function_names

BUILD = ROOT / "build" / "lambda"


def main(
    functions: Annotated[list[str] | None, typer.Argument(help="Which functions; all by default.")] = None,
    output: Annotated[Path, typer.Option(help="Where the zips go; arm64's into arm64/ below.")] = BUILD,
) -> None:
    """Build build/lambda/<function>.zip, and the same for arm64: deterministic, as bytecode."""
    chosen = functions or function_names()
    unknown = sorted(set(chosen) - set(function_names()))
    if unknown:
        fail(f"there is no function {unknown[0]}: there are {', '.join(function_names())}", code=2)
    try:
        (output / "arm64").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}", code=2)
    rows = []
    for function in chosen:
        step(function)
        try:
            intel = build(function, Architecture.X86_64, output)
            arm = build(function, Architecture.ARM64, output / "arm64")
        except (BundleFailed, PythonMissing) as error:
            fail(f"{function}: {error}")
        rows.append((function, f"{intel.megabytes:.2f} MB", f"{arm.megabytes:.2f} MB"))
    table(("function", "x86_64", "arm64"), rows)
    out.print(f"in {output}")


if __name__ == "__main__":
    ends_like_ctrl_c()
    typer.run(main)
