"""Live streams: who is live, and how many watch."""

from functions.streams.routes import router
from shared.http.app import create_app, lambda_entry

app = create_app("streams", router, needs=("database_url", "session_keys"))
lambda_handler = lambda_entry(app)
