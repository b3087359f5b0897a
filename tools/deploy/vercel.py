"""`make package-vercel`: `vercel build` in a clean copy, offline but for the package registry (decision 0011)."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

import typer

from tools.cli.screen import fail, out, step, table
from tools.deploy.elf import strip
from tools.deploy.python import PythonMissing, find_python
from tools.deploy.run import ends_like_ctrl_c, run, scratch
from tools.deploy.unused import is_unused
from tools.functions import ROOT, function_names

BUILD: Final = ROOT / "build" / "vercel"
_TOOL: Final = ROOT / "node_modules" / ".bin" / "vercel"
_DEADLINE_SECONDS: Final = 900  # a first build downloads every dependency; seen: 12 s for two functions

# What is built from; anything else in the tree, such as a .env, is not even in the copy.
_SOURCES: Final = (
    *("vercel.json", "functions/**/*.py", "functions/*/requirements.txt", "functions/*/.python-version"),
    *("shared/**/*.py", "shared/**/*.lua"),
)
_PROJECT: Final = {"projectId": "prj_local", "orgId": "team_local", "settings": {"framework": None}}
_CONFIG: Final = ".vc-config.json"
_VENDOR: Final = "_vendor"


class VercelBuildFailed(RuntimeError):
    """`vercel build` failed, or left something out; the message carries its last words."""


def main(output: Annotated[Path, typer.Option(help="Where the build goes.")] = BUILD) -> None:
    """Build build/vercel/.vercel/output, for `vercel deploy --prebuilt --cwd build/vercel`."""
    _refuse_what_is_not_ours(output)
    # Not below this checkout: `vercel build` looks for the git repository around it and asks Vercel whose that is.
    with scratch("digis-vercel-") as scratch_directory:
        draft = scratch_directory / "tree"
        try:
            step("copying")
            copy_sources(draft)
            step("vercel build")
            sizes = build(draft)
        except (VercelBuildFailed, PythonMissing) as error:
            fail(str(error))
        shutil.rmtree(output, ignore_errors=True)
        shutil.move(draft, output)
    table(("function", "files", "size"), [(name, str(files), f"{size / 1e6:.1f} MB") for name, files, size in sizes])
    out.print(f"in {output / '.vercel' / 'output'}")


def _refuse_what_is_not_ours(output: Path) -> None:
    """A build takes the place of an earlier build, and of nothing else."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and any(output.iterdir()) and not (output / ".vercel" / "output").exists():
            fail(f"{output} is neither empty nor an earlier build: it would be removed", code=2)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}", code=2)


def copy_sources(target: Path, source: Path = ROOT) -> None:
    """The clean copy: of the tree, only what a function is built from."""
    for pattern in _SOURCES:
        for file in source.glob(pattern):
            if file.name.startswith(".") and file.name != ".python-version":
                continue
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def build(tree: Path) -> list[tuple[str, int, int]]:
    """Run `vercel build` there. Return each function's name, files and bytes.

    Raise VercelBuildFailed or PythonMissing.
    """
    if not _TOOL.exists():
        raise VercelBuildFailed("the Node tools are not installed: make node")
    (tree / ".vercel").mkdir()
    (tree / ".vercel" / "project.json").write_text(json.dumps(_PROJECT))
    _run(tree)
    sizes = []
    for name in function_names():
        found = list((tree / ".vercel" / "output").glob(f"services/{name}/functions/*.func/{_CONFIG}"))
        if len(found) != 1:
            raise VercelBuildFailed(f"vercel build made {len(found)} functions of {name}")
        files = _prune(tree, found[0], name)
        sizes.append((name, len(files), sum((tree / file).stat().st_size for file in files)))
    shutil.rmtree(tree / ".vercel" / "python" / "cache", ignore_errors=True)
    return sizes


def _run(tree: Path) -> None:
    # Not the shell's own project on Vercel: what is built depends on the tree alone.
    env = {name: value for name, value in os.environ.items() if not name.startswith("VERCEL")}
    env["PATH"] = os.pathsep.join([str(find_python().parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    env |= {"VERCEL_TELEMETRY_DISABLED": "1", "VERCEL_PYTHON_COMPILEALL": "1", "CI": "1"}
    try:
        status, said = run([_TOOL, "build", "--yes"], cwd=tree, env=env, seconds=_DEADLINE_SECONDS)
    except TimeoutError:
        raise VercelBuildFailed(f"vercel build took more than {_DEADLINE_SECONDS} s") from None
    if status != 0:
        raise VercelBuildFailed("\n".join(said.splitlines()[-20:]))


def _prune(tree: Path, config_file: Path, function: str) -> list[str]:
    """Leave out of one function what nothing deployed imports. Return what it ships, by path from the tree."""
    config: dict[str, Any] = json.loads(config_file.read_text(encoding="utf-8"))
    files: dict[str, str] = config["filePathMap"]
    for shipped, where in list(files.items()):
        inside = PurePosixPath(shipped)
        if inside.is_relative_to(_VENDOR) and is_unused(inside.relative_to(_VENDOR), function):
            del files[shipped]
        elif not (tree / where).is_file():
            raise VercelBuildFailed(f"vercel build names {where}, which is not there")
        elif inside.suffix == ".so":
            strip(tree / where)
    config_file.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return list(files.values())


if __name__ == "__main__":
    ends_like_ctrl_c()
    typer.run(main)
