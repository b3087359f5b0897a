"""What every artefact is told when it is booted against the local stack."""

from __future__ import annotations

import os
from unittest.mock import patch

from shared import snapshot
from shared.postgres.pool import database
from tests.conftest import Services
from tests.deployed import DEPLOYED_KEYS
from tests.support import new_token
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


async def new_session(env: dict[str, str], username: str) -> str:
    """A session token that a function with these settings takes."""
    with patch.dict(os.environ, env | {"UPSTASH_REDIS_REST_URL": ""}):
        snapshot.forget()
        token = await new_token(username)
        await database().close()
    snapshot.forget()
    return token
