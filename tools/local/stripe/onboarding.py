"""The page behind an account link, so that a person on a laptop can be onboarded with a click."""

from __future__ import annotations

from html import escape
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.connection import Reply
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.resources import account_links, accounts

_HEADERS: Final = {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"}


def visit(account: Account, path: str) -> Reply:
    """Onboard the account of the link, and send its owner on to the return_url; once expired, to the refresh_url."""
    link = account_links.find(account, path)
    if link is None:
        return _page(404, "There is no such account link.")
    if link["expires_at"] <= account.now():
        return _page(410, "This account link has expired.", link["refresh_url"])
    try:
        accounts.onboard(account, link["account"])
    except StripeRefused as refusal:
        return _page(403, str(refusal), link["refresh_url"])
    finally:
        account.store.commit()
    return _page(200, f"{link['account']} is onboarded: this fake of Stripe asks for nothing.", link["return_url"])


def _page(status: int, text: str, url: str | None = None) -> Reply:
    onward = "" if url is None else escape(url)
    lines = [
        "<!doctype html><title>Connect onboarding</title>",
        f'<meta http-equiv="refresh" content="2; url={onward}">' if onward else "",
        f"<p>{escape(text)}</p>",
        f'<p><a href="{onward}">Go on</a></p>' if onward else "",
    ]
    return Reply(status, "\n".join(line for line in lines if line).encode(), _HEADERS)
