"""What is deployed, built once a run, and the real Lambda runtime client to boot it with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.deploy.bundle import Architecture, Bundle, build
from tools.deploy.python import VERSION, PythonMissing, find_python
from tools.functions import ROOT, function_names


@dataclass(frozen=True)
class Artefacts:
    zips: dict[str, Bundle]
    unpacked: dict[str, Path]
    runtime: Path  # awslambdaric, for the deployed Python


@pytest.fixture(scope="session")
def python_deployed() -> Path:
    try:
        return find_python()
    except PythonMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def node_tools() -> None:
    """osls and vercel in node_modules."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    subprocess.run(["make", "node"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def artefacts(python_deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    directory = tmp_path_factory.mktemp("artefacts")
    zips = {name: build(name, Architecture.X86_64, directory / "zips") for name in function_names()}
    unpacked = {}
    for name, bundle in zips.items():
        unpacked[name] = directory / name
        with zipfile.ZipFile(bundle.file) as packed:
            packed.extractall(unpacked[name])
    runtime = directory / "runtime"
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", runtime),
            *("--python-version", VERSION, "--only-binary", ":all:", "--require-hashes", "--no-deps"),
            *("-r", Path(__file__).parent / "requirements.txt"),
        ],
        check=True,
    )
    return Artefacts(zips, unpacked, runtime)
