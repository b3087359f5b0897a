"""What a running `digis dev` leaves in its data directory for other processes: settings, and where it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

DEFAULT_DATA: Final = Path(".digis")
DEV_PORT: Final = 8787
UPSTASH_PORT: Final = 8079
UPSTASH_TOKEN: Final = "local"  # noqa: S105 -- of a server on loopback with nothing in it
STRIPE_KEY: Final = "sk_test_local"
STRIPE_WEBHOOK_SECRET: Final = "whsec_local"  # noqa: S105 -- likewise

ALIKE: Final = {  # on every laptop
    "STAGE": "local",
    "MAIL_FROM": "no-reply@digis.test",
    "CRON_SECRET": "cron-local",
    "OPS_TOKEN": "ops-local",
}


def payout_account_url(port: int) -> str:
    """Where the fake Stripe's onboarding page leads back to: a page that a laptop has."""
    return f"http://127.0.0.1:{port}/docs"


def write_env(data: Path, env: Mapping[str, str]) -> None:
    """All or nothing: whoever waits for this file finds it whole."""
    draft = data / "env.draft"
    draft.touch(0o600)
    draft.write_text("".join(f"{name}={value}\n" for name, value in sorted(env.items())))
    draft.replace(data / "env")


def read_env(data: Path) -> dict[str, str]:
    """`KEY=value` lines of the data directory's `env`; empty where there is none."""
    try:
        lines = (data / "env").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def adopt_env(data: Path) -> None:
    """Put those settings into this process's environment; what is already there wins."""
    for name, value in read_env(data).items():
        os.environ.setdefault(name, value)


@dataclass(frozen=True, slots=True)
class State:
    """A running `digis dev`: its address, its process, and the login that migrates its database."""

    url: str
    pid: int
    owner_url: str


def write_state(data: Path, state: State) -> None:
    file = data / "dev.json"
    file.touch(0o600)
    file.write_text(json.dumps(asdict(state)))


def clear_state(data: Path) -> None:
    (data / "dev.json").unlink(missing_ok=True)


def read_state(data: Path) -> State | None:
    """None where nothing runs, or what ran was killed."""
    try:
        state = State(**json.loads((data / "dev.json").read_text()))
        os.kill(state.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return state
