"""The mailbox: a real SMTP server, which keeps what it is sent."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage

import pytest

from tests.conftest import Post
from tools.local.proxy import Mode


def _send(port: int, to: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content(text)
    message.add_alternative("<p>html</p>", subtype="html")
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.send_message(message, "from@digis.test", [to])


async def test_mail_is_kept_the_newest_first(post: Post) -> None:
    for number in range(2):
        await asyncio.to_thread(_send, post.proxy.port, f"to{number}@digis.test", f"text {number}, größer\n")
    newest = post.mailbox.messages[0]
    assert (newest.to, newest.subject, newest.text) == ("to1@digis.test", "Grüße", "text 1, größer\n")
    shown = post.mailbox.shown()
    assert [one["to"] for one in shown] == ["to1@digis.test", "to0@digis.test"]
    assert set(shown[0]) == {"to", "subject", "text", "sent_at"}
    assert shown[0]["sent_at"].endswith("+00:00")
    assert post.mailbox.commands["DATA"] == 2
    assert post.mailbox.commands["QUIT"] == 2


async def test_two_hundred_are_kept(post: Post) -> None:
    def send_many() -> None:
        message = EmailMessage()
        message["Subject"] = "one of many"
        message.set_content("text")
        with smtplib.SMTP("127.0.0.1", post.proxy.port, timeout=5) as client:
            for number in range(203):
                client.send_message(message, "from@digis.test", [f"to{number}@digis.test"])

    await asyncio.to_thread(send_many)
    assert len(post.mailbox.messages) == 200
    assert post.mailbox.messages[-1].to == "to3@digis.test"


async def test_broken_it_says_not_now(post: Post) -> None:
    await post.proxy.set(Mode.ERROR_500)
    with pytest.raises(smtplib.SMTPConnectError, match="421"):
        await asyncio.to_thread(_send, post.proxy.port, "to@digis.test", "text")
    await post.proxy.set(Mode.OK)
    await asyncio.to_thread(_send, post.proxy.port, "to@digis.test", "text")
