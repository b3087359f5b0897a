"""An SMTP server that keeps what it is sent: the mail of a laptop, for people and tests to read."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session

_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Message:
    """A mail that arrived. `sent_at` is when that was."""

    to: str
    subject: str
    text: str
    sent_at: datetime


class Mailbox:
    """Listens on loopback, behind a proxy that can be broken. `commands` counts the verbs of every dialogue."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque(maxlen=_KEPT)  # the newest first
        self.commands: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on a free port, and return it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Counting(self, loop), "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        part = message.get_body(("plain",))
        text = str(part.get_content()).replace("\r\n", "\n") if part is not None else ""
        self.messages.appendleft(Message(envelope.rcpt_tos[0], str(message["Subject"]), text, datetime.now(UTC)))
        return "250 OK"

    def shown(self) -> list[dict[str, str]]:
        """As `GET /dev/mailbox` says it."""
        return [
            {"to": one.to, "subject": one.subject, "text": one.text, "sent_at": one.sent_at.isoformat()}
            for one in self.messages
        ]


class _Counting(SMTP):
    def __init__(self, mailbox: Mailbox, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(mailbox, hostname="mailbox.digis.test", loop=loop, enable_SMTPUTF8=True)
        self._commands = mailbox.commands

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 -- aiosmtpd's; it has no hook in the old style
        self._commands["EHLO"] += 1
        await super().smtp_EHLO(hostname)

    async def _call_handler_hook(self, command: str, *args: Any) -> Any:
        """aiosmtpd asks here first for each command that it knows."""
        self._commands[command] += 1
        return await super()._call_handler_hook(command, *args)
