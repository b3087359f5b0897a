"""Finding the Python that is deployed, wherever a machine keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.deploy import python
from tools.deploy.python import PythonMissing, find_python

pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    find_python.cache_clear()
    monkeypatch.delenv(python.OVERRIDE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    yield
    find_python.cache_clear()


def _pretend(file: Path, version: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\necho {version}\n")
    file.chmod(0o755)


def test_pyenvs_is_found(tmp_path: Path) -> None:
    expected = tmp_path / "pyenv/versions/3.13.0/bin/python"
    _pretend(expected, "3.13")
    assert find_python() == expected


def test_home_that_is_closed_to_us_is_as_good_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _pattern: str) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", refuse)  # root, as which this may run, enters every directory
    with pytest.raises(PythonMissing, match=python.OVERRIDE):
        find_python()


def test_override_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pretend(tmp_path / "other/python", "3.12")
    monkeypatch.setenv(python.OVERRIDE, str(tmp_path / "other/python"))
    with pytest.raises(PythonMissing, match=r"3\.13"):
        find_python()
