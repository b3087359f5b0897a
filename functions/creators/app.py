"""Creator profiles: public, changed by their owners, followed."""

from functions.creators.routes import router
from shared.http.app import create_app, lambda_entry

app = create_app("creators", router, needs=("database_url", "session_keys"))
lambda_handler = lambda_entry(app)
