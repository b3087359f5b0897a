"""What creators earned, and from whom."""

from functions.analytics.routes import router
from shared.http.app import create_app, lambda_entry

app = create_app("analytics", router, needs=("database_url", "session_keys"))
lambda_handler = lambda_entry(app)
