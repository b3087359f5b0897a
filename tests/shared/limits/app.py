"""An application with one route per policy, and an identity that the test chooses.

Annotations are evaluated here (no `from __future__`): a gate is made of what a function is called with.
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Request

from shared.http.app import create_app
from shared.limits import policies
from shared.limits.gate import Call, gate

router = APIRouter(prefix="/limited")


def _user(request: Request) -> str | None:
    return request.headers.get("x-test-user")


def _add(policy: policies.Policy, name: str, bucket: str | None = None) -> None:
    @router.post(f"/{name}", name=name)
    async def show(_: Annotated[Call, gate(policy, bucket=bucket, user_of=_user)]) -> dict[str, bool]:
        return {"success": True}


for each in policies.ALL:
    _add(each, each.name)
_add(policies.AUTH, "login", "login")


def make_app() -> FastAPI:
    return create_app("limited", router)
