"""What a process keeps of itself across a snapshot, and what it must not."""

from __future__ import annotations

import random
import sys
from types import ModuleType

import pytest

from shared import snapshot
from shared.postgres.pool import database
from shared.settings import SettingsInvalid, settings
from shared.upstash.client import upstash


def test_copy_reads_its_settings_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "before")
    monkeypatch.setenv("DATABASE_URL", "postgresql://digis@127.0.0.1:1/before")
    snapshot.forget()
    old = (settings(), upstash(), database())

    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "after")
    snapshot.restored()

    assert settings().upstash_token == "after"
    assert not {id(part) for part in old} & {id(settings()), id(upstash()), id(database())}


def test_copies_draw_other_numbers() -> None:
    """What the dependencies draw; our own randomness is the system's (tests/architecture)."""
    state = random.getstate()
    drawn = set()
    for _ in range(2):
        random.setstate(state)
        snapshot.restored()
        drawn.add(random.getrandbits(64))
    assert len(drawn) == 2


def test_copy_whose_settings_have_gone_wrong_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_DEADLINE_MS", "soon")
    with pytest.raises(SettingsInvalid, match="UPSTASH_DEADLINE_MS"):
        snapshot.restored()


@pytest.mark.parametrize(("kind", "hooks"), [("snap-start", [snapshot.restored]), ("on-demand", [])])
def test_hook_is_registered_with_snapstart_alone(
    monkeypatch: pytest.MonkeyPatch, kind: str, hooks: list[object]
) -> None:
    registered: list[object] = []
    runtime = ModuleType("snapshot_restore_py")
    monkeypatch.setattr(runtime, "register_after_restore", registered.append, raising=False)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
    snapshot.register()
    assert registered == hooks
