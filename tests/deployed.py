"""What a deployed function is told besides where its services are."""

from __future__ import annotations

DEPLOYED_KEYS = {
    "IDENTITY_HMAC_KEY": "k" * 32,
    "SESSION_KEYS": f"k1:{'s' * 32}",
    "OTP_PEPPER": "p" * 32,
    "SMTP_URL": "smtp://127.0.0.1:1",
    "MAIL_FROM": "no-reply@digis.test",
    "STRIPE_SECRET_KEY": "sk_test_local",
    "STRIPE_WEBHOOK_SECRET": "whsec_local",
    "PAYOUT_ACCOUNT_URL": "https://app.digis.example/earnings",
    "CRON_SECRET": "cron-local",
}
