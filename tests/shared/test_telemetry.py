"""Metrics in the log: a plain line on a laptop, CloudWatch's embedded metric format where it is deployed."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from shared import telemetry
from tests.deployed import DEPLOYED_KEYS


@pytest.fixture
def deployed(fresh_process: pytest.MonkeyPatch) -> None:
    deployed_keys = DEPLOYED_KEYS | {"AWS_LAMBDA_FUNCTION_NAME": "payments", "STAGE": "production"}
    for name, value in deployed_keys.items():
        fresh_process.setenv(name, value)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def _described(line: dict[str, Any]) -> dict[str, Any]:
    """What CloudWatch is told to make of a line."""
    (described,) = line["_aws"]["CloudWatchMetrics"]
    return dict(described)


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_laptop_has_one_plain_line(fresh_process: pytest.MonkeyPatch) -> None:
    heard, logger = _Heard(), telemetry.logger()
    fresh_process.setattr(logger, "handlers", [heard])
    telemetry.measure(LedgerDriftCents=-1250, ReconcileSeconds=0.25)
    assert heard.lines == ["metrics: LedgerDriftCents -1250, ReconcileSeconds 0.25"]


@pytest.mark.usefixtures("deployed")
def test_deployed_each_call_is_one_line_of_its_own_values(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.measure(LedgerDriftCents=-3, ReconcileSeconds=1.25)
    telemetry.measure(PayoutsSentTwice=1)
    telemetry.measure(LedgerDriftCents=0)
    drift, twice, none = _lines(capsys)

    assert (drift.pop("LedgerDriftCents"), drift.pop("ReconcileSeconds")) == ([-3.0], [1.25])
    assert twice.pop("PayoutsSentTwice") == [1.0]
    assert none.pop("LedgerDriftCents") == [0.0], "a zero is a value too: without it an alarm has no data"
    assert [set(line) for line in (drift, twice, none)] == [{"_aws", "service"}] * 3
    assert _described(drift)["Metrics"] == [
        {"Name": "LedgerDriftCents", "Unit": "Count"},
        {"Name": "ReconcileSeconds", "Unit": "Seconds"},
    ]
    assert _described(twice)["Metrics"] == [{"Name": "PayoutsSentTwice", "Unit": "Count"}]
    assert _described(none)["Metrics"] == [{"Name": "LedgerDriftCents", "Unit": "Count"}]


@pytest.mark.usefixtures("deployed")
def test_deployed_metrics_are_the_stages_and_of_this_moment(capsys: pytest.CaptureFixture[str]) -> None:
    before = time.time()
    telemetry.measure(LedgerDriftCents=0)
    (line,) = _lines(capsys)

    assert _described(line)["Namespace"] == "Digis"
    assert _described(line)["Dimensions"] == [["service"]]
    assert line["service"] == "production"
    assert int(before * 1000) <= line["_aws"]["Timestamp"] <= time.time() * 1000
