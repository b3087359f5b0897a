"""What `digis doctor --production` holds the settings to."""

from __future__ import annotations

import pytest

from shared.settings import Settings
from tools.cli.doctor import Finding, _configured


def finding(name: str, value: str, monkeypatch: pytest.MonkeyPatch, *, production: bool = True) -> Finding:
    monkeypatch.setenv(name, value)
    (found,) = (one for one in _configured(Settings.read({name: value}), production=production) if one.what == name)
    return found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CRON_SECRET", "", ("not set", True)),
        ("CRON_SECRET", "cron-local", ("set", True)),
        ("CRON_SECRET", "c" * 31, ("set", True)),
        ("CRON_SECRET", "c" * 32, ("set", False)),
        ("PAYOUT_ACCOUNT_URL", "", ("not set", True)),
        ("PAYOUT_ACCOUNT_URL", "https://app.digis.example/earnings", ("set", False)),
    ],
)
def test_payouts_need_their_settings(
    name: str, value: str, expected: tuple[str, bool], fresh_process: pytest.MonkeyPatch
) -> None:
    found = finding(name, value, fresh_process)
    assert (found.state, found.bad) == expected
    assert "ccc" not in found.detail


@pytest.mark.parametrize("name", ["CRON_SECRET", "PAYOUT_ACCOUNT_URL"])
def test_a_laptop_does_not_need_them(name: str, fresh_process: pytest.MonkeyPatch) -> None:
    assert not finding(name, "", fresh_process, production=False).bad
