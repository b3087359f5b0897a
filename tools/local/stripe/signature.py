"""The Stripe-Signature header: https://docs.stripe.com/webhooks#verify-manually."""

from __future__ import annotations

import hashlib
import hmac


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """The header for this body. `timestamp` is in seconds since 1970."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (timestamp, payload), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
