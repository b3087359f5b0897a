"""A client of the test application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from shared.http.app import create_app
from tests.shared.http.tried import router
from tests.support import serve

ORIGIN = "https://app.example"


@pytest.fixture
async def http(fresh_process: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    fresh_process.setenv("ALLOWED_ORIGINS", f"{ORIGIN},https://admin.example")
    async with serve(create_app("tried", router)) as client:
        yield client
