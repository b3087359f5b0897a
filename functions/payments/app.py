"""Tokens: bought with money, spent on creators."""

from functions.payments.routes import router
from shared.http.app import create_app, lambda_entry

app = create_app(
    "payments", router, needs=("database_url", "session_keys", "stripe_secret_key", "stripe_webhook_secret")
)
lambda_handler = lambda_entry(app)
