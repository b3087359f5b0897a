"""Mail, over SMTP, one connection a message, inside a deadline.

Whoever asks for a code for an address must not learn whether there is an account: the dialogue with the server is the
same for an address that is mailed and one that is not, command by command, but for what the commands are.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Final
from urllib.parse import unquote, urlsplit

from shared import telemetry
from shared.settings import settings

_SECONDS: Final = 5.0  # for all of it: a server that takes longer would have its users wait for nothing
_PORTS: Final = {"smtp": 587, "smtps": 465}


class MailFailed(Exception):
    """The server did not take it, in time or at all."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one person, as text and as simple HTML."""

    to: str
    subject: str
    text: str
    html: str


async def deliver(mail: Mail | None) -> None:
    """Hand a message to the SMTP server; or, for None, go through the motions. Raise MailFailed.

    An address that the server refuses is no failure: its owner would be told what others must not know.
    """
    import aiosmtplib  # noqa: PLC0415 -- for those who are mailed, not for every cold start

    url = urlsplit(settings().smtp_url or "")
    client = aiosmtplib.SMTP(
        hostname=url.hostname,
        port=url.port or _PORTS.get(url.scheme, 25),
        use_tls=url.scheme == "smtps",
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        timeout=_SECONDS,
    )
    sender = parseaddr(settings().mail_from)[1]
    try:
        async with asyncio.timeout(_SECONDS):
            await client.connect()
            await client.mail(sender)
            if mail is None:
                await client.noop()
                await client.rset()
            else:
                await client.rcpt(mail.to)
                await client.data(_written(mail).as_bytes())
            await client.quit()
    except aiosmtplib.SMTPRecipientRefused:
        telemetry.logger().warning("the mail server refuses an address")
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
        telemetry.logger().warning("mail is unavailable: %s", type(error).__name__)
        raise MailFailed from error
    finally:
        client.close()


def _written(mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["From"] = settings().mail_from
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(settings().mail_from)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message
