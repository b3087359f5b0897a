"""The API's document, committed and shown."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.tools.cli.conftest import digis
from tools.functions import ROOT, function_names

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_committed_document_is_what_the_code_says() -> None:
    status, text = digis("openapi", cwd=ROOT)
    assert status == 0
    assert (ROOT / "openapi.json").read_text() == text, "the API changed: make openapi, and read the difference"


@pytest.mark.slow
def test_dev_serves_the_merged_document(dev: tuple[str, Path]) -> None:
    served = set(httpx.get(f"{dev[0]}/openapi.json").json()["paths"])
    own = [set(httpx.get(f"{dev[0]}/{function}/openapi.json").json()["paths"]) for function in function_names()]
    assert all(own)
    assert served == {path for paths in own for path in paths}
    assert {"/live", "/creators/{username}", "/auth/login"} <= served


@pytest.mark.slow
def test_docs_need_nothing_from_elsewhere(dev: tuple[str, Path]) -> None:
    page = httpx.get(f"{dev[0]}/docs").text
    used = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)
    assert used
    for address in used:
        assert address.startswith("/")
        assert httpx.get(f"{dev[0]}{address}").status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_docs_open_in_a_browser(dev: tuple[str, Path], tmp_path: Path) -> None:
    assert CHROMIUM is not None
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
        *("--virtual-time-budget=10000", "--dump-dom", f"{dev[0]}/docs"),
    ]
    page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout

    shown = set(re.findall(r'data-path="([^"]+)"', page))
    assert shown == set(httpx.get(f"{dev[0]}/openapi.json").json()["paths"])
    assert "Failed to load" not in page
