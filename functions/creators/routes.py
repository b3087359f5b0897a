"""The creators' routes: who creators are, one by one and in lists."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ValidationError

from functions.creators import service
from functions.creators.schemas import CreatorOut, CreatorsOut, ListQuery, Username
from shared.cache.respond import NOT_MODIFIED, Revalidated, respond
from shared.cache.space import Space
from shared.cache.spaces import LISTS, PROFILES
from shared.http.problems import CreatorNotFound, InvalidCursor, UpstreamUnavailable, problems
from shared.limits.gate import Call, gate
from shared.limits.policies import PUBLIC
from shared.settings import settings
from shared.upstash import keys

router = APIRouter(prefix="/creators", tags=["creators"])


def _page(request: Request) -> tuple[str, ...] | None:
    """The parts of a page's key: the query as it is understood, however it was spelt."""
    try:
        query = ListQuery.model_validate(dict(request.query_params))
        service.place_of(query)
    except (ValidationError, InvalidCursor):
        return None
    return query.category or "@any", query.sort, str(query.limit), query.cursor or "@start"


profiles: Final = Space(keys.CREATOR, "profile", CreatorOut, PROFILES)
lists: Final = Space(keys.CREATOR, "list", CreatorsOut, LISTS)


@router.get("", response_model=CreatorsOut, responses=problems(InvalidCursor, UpstreamUnavailable))
async def list_creators(
    query: Annotated[ListQuery, Query()], call: Annotated[Call, gate(PUBLIC, read=lists.where(_page))]
) -> Response:
    """Creators by followers or newest first, page by page."""
    return await respond(lists, call, lambda: service.list_creators(query))


@router.get(
    "/{username}",
    response_model=CreatorOut,
    responses=NOT_MODIFIED | problems(CreatorNotFound, UpstreamUnavailable),
)
async def show_creator(
    username: Annotated[Username, Path()], call: Annotated[Call, gate(PUBLIC, read=profiles.at("username"))]
) -> Response:
    """A creator's public profile, with an ETag to ask again by."""
    return await respond(
        profiles,
        call,
        lambda: service.find_profile(username),
        absent=CreatorNotFound,
        revalidated=Revalidated(settings().profile_cdn_seconds),
    )
