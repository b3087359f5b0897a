"""Accounts, sessions and one-time codes."""

from functions.auth.routes import router
from shared.http.app import create_app, lambda_entry

app = create_app("auth", router, needs=("database_url", "session_keys", "otp_pepper", "smtp_url", "mail_from"))
lambda_handler = lambda_entry(app)
