"""What a function carries of ours is enough to import it, and no other function's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployed import DEPLOYED_KEYS
from tools.deploy.closure import files_of
from tools.functions import ROOT, function_names


@pytest.mark.parametrize("function", function_names())
def test_function_is_imported_from_its_own_files_alone(tmp_path: Path, function: str) -> None:
    for file in files_of(function):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    code = f"import functions.{function}.app as app, shared.settings as other; print(app.__file__, other.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "VERCEL": "1", "DATABASE_URL": "postgresql://x/x", **DEPLOYED_KEYS},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [Path(file).is_relative_to(tmp_path) for file in done.stdout.split()] == [True, True]


def test_scripts_of_shared_come_with_the_module_that_names_them() -> None:
    carried = {
        function: {file.name for file in files_of(function) if file.suffix == ".lua"}
        for function in ("auth", "payments")
    }
    assert {"otp_issue.lua", "otp_verify.lua", "otp_discard.lua"} <= carried["auth"] - carried["payments"]
    assert {"lock_release.lua", "lock_extend.lua"} <= carried["payments"] - carried["auth"]
