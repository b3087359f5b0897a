"""A function as a zip: its own dependencies and its own files, as bytecode, the same bytes each time."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from tools.deploy.closure import files_of
from tools.deploy.elf import strip
from tools.deploy.python import VERSION, find_python
from tools.deploy.run import run, scratch
from tools.deploy.unused import is_unused
from tools.functions import ROOT

TASK: Final = "/var/task"  # where Lambda unpacks it: what tracebacks show
_DEADLINE_SECONDS: Final = 300  # for a step: a first one downloads every dependency; seen: 10 s
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can say


class Architecture(StrEnum):
    X86_64 = "x86_64"
    ARM64 = "aarch64"


class BundleFailed(RuntimeError):
    """A dependency could not be installed, or a file not compiled; the message carries the tool's own."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished zip."""

    function: str
    architecture: Architecture
    file: Path

    @property
    def megabytes(self) -> float:
        return self.file.stat().st_size / 1e6


def build(function: str, architecture: Architecture, output: Path) -> Bundle:
    """Make `<output>/<function>.zip`. Raise BundleFailed or PythonMissing."""
    output.mkdir(parents=True, exist_ok=True)
    bundle = Bundle(function, architecture, output / f"{function}.zip")
    with scratch("digis-package-") as scratch_directory:
        stage = scratch_directory / "task"
        _install(function, architecture, stage)
        _prune(stage, function)
        for file in files_of(function):
            (stage / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, stage / file)
        _compile(stage)
        _pack(stage, bundle.file)
    return bundle


def _install(function: str, architecture: Architecture, stage: Path) -> None:
    _run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", stage),
            *("--python-platform", f"{architecture}-manylinux_2_28", "--python-version", VERSION),
            *("--only-binary", ":all:", "--require-hashes", "--no-deps"),
            *("-r", ROOT / "functions" / function / "requirements.txt"),
        ]
    )


def _prune(stage: Path, function: str) -> None:
    for file in [path for path in stage.rglob("*") if path.is_file()]:
        inside = PurePosixPath(file.relative_to(stage))
        if is_unused(inside, function) or any(part.endswith(".dist-info") for part in inside.parts):
            file.unlink()
        elif file.suffix == ".so" or ".so." in file.name:
            strip(file)


def _compile(stage: Path) -> None:
    """Unchecked-hash bytecode: valid whatever dates the zip gives its sources."""
    command: list[str | Path] = [find_python(), "-m", "compileall", "-q", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", stage, "-p", TASK, stage]
    _run(command, PYTHONHASHSEED="0")


def _pack(stage: Path, file: Path) -> None:
    draft = file.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path for path in stage.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix(), _DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
    draft.replace(file)


def _run(command: list[str | Path], **env: str) -> None:
    try:
        status, said = run(command, cwd=ROOT, env=os.environ | env, seconds=_DEADLINE_SECONDS)
    except TimeoutError:
        raise BundleFailed(f"{command[0]} took more than {_DEADLINE_SECONDS} s") from None
    if status != 0:
        raise BundleFailed(said.strip())
