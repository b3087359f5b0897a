"""What one request cost, and the one line that says so.

Every request has a record in a context variable. The layers that make trips and queries count into it; the edge
writes it out when the response has gone. Session ids, authorization, query strings and bodies never come here.
"""

from __future__ import annotations

import logging
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

from shared.settings import settings

_PATH_LENGTH: Final = 200


@dataclass(slots=True)
class RequestRecord:
    """The running account of one request."""

    request_id: str
    method: str
    path: str
    started: float = field(default_factory=time.perf_counter)
    outcome: str = "-"  # hit, miss, stale; denied, degraded
    trips: int = 0
    queries: int = 0
    upstash_is_out: bool = False  # after one UpstashUnavailable a request makes no further trip
    headers: dict[str, str] = field(default_factory=dict)  # what the gate adds to whatever the answer will be
    anonymous: bool = False  # the answer is for a CDN to keep: nothing about this one caller may be on it

    @property
    def milliseconds(self) -> float:
        return (time.perf_counter() - self.started) * 1000


_current: ContextVar[RequestRecord | None] = ContextVar("request_record", default=None)


def begin(record: RequestRecord) -> None:
    """Make `record` the one that this request's trips and queries count into."""
    _current.set(record)


def current() -> RequestRecord | None:
    """The record of the request being served, or None outside of one."""
    return _current.get()


def count_query() -> None:
    """One more statement went to Postgres for this request."""
    if record := _current.get():
        record.queries += 1


@lru_cache(maxsize=1)
def logger() -> logging.Logger:
    """Structured JSON where it is deployed, a plain line on a laptop."""
    if settings().deployed:
        from aws_lambda_powertools import Logger  # noqa: PLC0415 -- a laptop and a test do not pay for it

        return cast("logging.Logger", Logger(service="digis"))  # it quacks like one, without being one
    plain = logging.getLogger("digis")
    if not plain.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        plain.addHandler(handler)
        plain.propagate = False
    plain.setLevel(logging.INFO)
    return plain


def log_access(record: RequestRecord, status: int) -> None:
    """`GET /creators/luna 200 hit 1 trip 0 queries 3 ms`, or the same as JSON fields where it is deployed."""
    path = printable(record.path)
    if settings().deployed:
        logger().info(
            "request",
            extra={
                "request_id": record.request_id,
                "method": record.method,
                "path": path,
                "status": status,
                "outcome": record.outcome,
                "trips": record.trips,
                "queries": record.queries,
                "milliseconds": round(record.milliseconds, 1),
            },
        )
        return
    logger().info(
        "%s %s %d %s %s %s %.0f ms",
        printable(record.method),
        path,
        status,
        record.outcome,
        _counted(record.trips, "trip", "trips"),
        _counted(record.queries, "query", "queries"),
        record.milliseconds,
    )


def measure(**values: float) -> None:
    """Metrics of this moment, as one line of the log: CloudWatch reads them there (its embedded metric format)."""
    if not settings().deployed:
        logger().info("metrics: %s", ", ".join(f"{name} {value:g}" for name, value in values.items()))
        return
    from aws_lambda_powertools.metrics import Metrics, MetricUnit  # noqa: PLC0415 -- hardly any request has some

    metrics = Metrics(namespace="Digis", service=settings().stage)
    for name, value in values.items():
        metrics.add_metric(name, MetricUnit.Seconds if name.endswith("Seconds") else MetricUnit.Count, value)
    metrics.flush_metrics()


def server_timing(record: RequestRecord) -> str:
    """The `Server-Timing` header of a laptop's answers: shown by the browser's network panel."""
    return f'total;dur={record.milliseconds:.1f}, trips;desc="{record.trips}", queries;desc="{record.queries}"'


def printable(text: str) -> str:
    """`text` as one short line that cannot forge another: a path is the caller's to choose."""
    shown = text[:_PATH_LENGTH] + ("..." if len(text) > _PATH_LENGTH else "")
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode("ascii")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
