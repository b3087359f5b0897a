"""Readiness and liveness, for load balancers and for `digis doctor`."""

from functions.ready.checks import router
from shared.http.app import create_app, lambda_entry

app = create_app("ready", router, needs=("database_url",))
lambda_handler = lambda_entry(app)
