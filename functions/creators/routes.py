"""The creators' routes: who creators are, one by one and in lists; their own changes; who follows them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query, Request, Response
from pydantic import ValidationError

from functions.creators import service
from functions.creators.schemas import CreatorOut, CreatorsOut, FollowingOut, ListQuery, ProfilePatch, Username
from shared.cache.respond import NOT_MODIFIED, Revalidated, respond
from shared.cache.space import Space
from shared.cache.spaces import LISTS, PROFILES
from shared.http.problems import (
    AccountInactive,
    CreatorNotFound,
    InvalidCursor,
    NotACreator,
    Unauthenticated,
    UpstreamUnavailable,
    problems,
)
from shared.http.queries import PageQuery
from shared.http.strict import strict_router
from shared.limits.gate import Call, UserCall, gate
from shared.limits.policies import API, PUBLIC
from shared.settings import settings
from shared.upstash import keys
from shared.users import PROFILE

router = strict_router("creators")


def _page(request: Request) -> tuple[str, ...] | None:
    """The parts of a page's key: the query as it is understood, however it was spelt."""
    try:
        query = ListQuery.model_validate(dict(request.query_params))
        service.place_of(query)
    except (ValidationError, InvalidCursor):
        return None
    return query.category or "@any", query.sort, str(query.limit), query.cursor or "@start"


profiles: Final = Space(keys.CREATOR, PROFILE, CreatorOut, PROFILES)
lists: Final = Space(keys.CREATOR, "list", CreatorsOut, LISTS)

_FOLLOW_PROBLEMS: Final = problems(Unauthenticated, CreatorNotFound, UpstreamUnavailable)


@router.get("", response_model=CreatorsOut, responses=problems(InvalidCursor, UpstreamUnavailable))
async def list_creators(
    query: Annotated[ListQuery, Query()], call: Annotated[Call, gate(PUBLIC, read=lists.where(_page))]
) -> Response:
    """Creators by followers or newest first, page by page."""
    return await respond(lists, call, lambda: service.list_creators(query))


@router.get("/following", responses=problems(Unauthenticated, InvalidCursor, UpstreamUnavailable))
async def list_followed(
    query: Annotated[PageQuery, Query()], call: Annotated[UserCall, gate(API, session=True)]
) -> CreatorsOut:
    """Whom the caller follows, the latest first."""
    return await service.list_followed(query, call.user_id)


@router.patch("/me", responses=problems(Unauthenticated, NotACreator, AccountInactive, UpstreamUnavailable))
async def change_profile(body: ProfilePatch, call: Annotated[UserCall, gate(API, session=True)]) -> CreatorOut:
    """Change one's own profile. The next read anywhere sees it."""
    return await service.change_profile(call.user_id, body)


@router.get("/{username}/follow", responses=_FOLLOW_PROBLEMS)
async def show_follow(
    username: Annotated[Username, Path()], call: Annotated[UserCall, gate(API, session=True)]
) -> FollowingOut:
    """Whether the caller follows this creator."""
    return await service.is_following(username, call.user_id)


@router.put("/{username}/follow", status_code=204, responses=_FOLLOW_PROBLEMS)
async def follow(username: Annotated[Username, Path()], call: Annotated[UserCall, gate(API, session=True)]) -> None:
    """Follow this creator."""
    await service.set_follow(username, call.user_id, following=True)


@router.delete("/{username}/follow", status_code=204, responses=_FOLLOW_PROBLEMS)
async def unfollow(username: Annotated[Username, Path()], call: Annotated[UserCall, gate(API, session=True)]) -> None:
    """Follow this creator no more."""
    await service.set_follow(username, call.user_id, following=False)


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
