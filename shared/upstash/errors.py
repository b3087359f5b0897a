"""What can go wrong with Upstash: one root, three kinds."""

from __future__ import annotations


class UpstashError(Exception):
    """Any failure of a call to Upstash. `args` are the constructor's own, so that copies can be made."""


class UpstashUnavailable(UpstashError):
    """Nobody answered as Upstash does: network, deadline, 5xx or 429.

    `maybe_applied` is False when it is certain that no command of the trip was carried out: nothing was sent.
    """

    def __init__(self, reason: str, *, maybe_applied: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_applied = maybe_applied


class CircuitOpen(UpstashUnavailable):
    """Upstash was out a moment ago, and is not asked again yet: no trip was made."""

    def __init__(self) -> None:
        super().__init__("the circuit is open", maybe_applied=False)
        self.args = ()  # the constructor's own

    def __str__(self) -> str:
        return self.reason


class UpstashRefused(UpstashError):
    """Upstash answered 401 or 403: the URL and token of this deployment are wrong."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"Upstash answered {self.status}: check UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN"


class CommandFailed(UpstashError):
    """Redis answered one command with an error. Its neighbours in the trip are not touched by it."""

    def __init__(self, command: str, message: str) -> None:
        # The name of the command only: its arguments are keys and values, which do not belong in logs.
        super().__init__(command, message)
        self.command = command
        self.message = message

    def __str__(self) -> str:
        return f"{self.command}: {self.message}"

    @property
    def script_is_unknown(self) -> bool:
        return self.message.startswith("NOSCRIPT")
