"""What every artefact is told when it is booted against the local stack."""

from __future__ import annotations

from tests.conftest import Services
from tests.deployed import DEPLOYED_KEYS
from tools.local.rest.server import RestServer


def settings_of(services: Services, rest: RestServer, database_name: str) -> dict[str, str]:
    """The settings of a deployed function."""
    return {
        "UPSTASH_REDIS_REST_URL": rest.url,
        "UPSTASH_REDIS_REST_TOKEN": "local",
        "DATABASE_URL": services.postgres.url(database_name),
        **DEPLOYED_KEYS,
        "STAGE": "test",
    }
