"""Tokens: bought with money, spent on creators."""

from functions.payments.routes import router
from shared.http.app import create_app, lambda_entry

app = create_app(
    "payments",
    router,
    needs=(
        *("database_url", "session_keys", "stripe_secret_key", "stripe_webhook_secret"),
        *("payout_account_url", "cron_secret"),
    ),
    scheduled="/payments/reconcile",
)
lambda_handler = lambda_entry(app)
