"""An application with a route for each way to answer, for tests of what is around routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from shared.http.problems import CreatorNotFound
from shared.limits.gate import ungated

SECRET = "hunter2-in-the-message"

router = APIRouter(prefix="/tried", dependencies=[ungated("a test of the edge alone")])


class Note(BaseModel):
    text: str
    stars: Annotated[int, Body(strict=True)] = 0


@router.get("/fine")
async def fine() -> dict[str, bool]:
    return {"success": True}


@router.get("/kept")
async def kept() -> Response:
    return Response(b"kept", headers={"Cache-Control": "public, max-age=60"})


@router.post("/note")
async def note(body: Note) -> dict[str, int]:
    return {"length": len(body.text)}


@router.get("/problem")
async def problem() -> None:
    raise CreatorNotFound(headers={"Retry-After": "7"})


@router.get("/crash")
async def crash() -> None:
    raise RuntimeError(SECRET)


@router.get("/half")
async def half() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * 100
        raise RuntimeError(SECRET)

    return StreamingResponse(parts())
