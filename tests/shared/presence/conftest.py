"""Presence in an empty Redis, by a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Services
from tests.shared.limits.lua import Redis
from tests.shared.presence.presence import Presence, audit


@pytest.fixture
def presence(services: Services, fresh_process: pytest.MonkeyPatch) -> Iterator[Presence]:
    with Redis(services.redis.socket) as redis:
        presence = Presence(redis)
        fresh_process.setattr("shared.presence.viewers.upstash", lambda: presence)
        yield presence
        audit(redis)
