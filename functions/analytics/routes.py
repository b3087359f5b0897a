"""The analytics routes: for a creator to see, or an operator, and for nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import ValidationError

from functions.analytics import service
from functions.analytics.schemas import EarningsOut, EarningsQuery, SummaryOut, SupportersOut
from functions.analytics.service import Days
from shared import earnings, sessions
from shared.cache.respond import respond, respond_with
from shared.http.problems import (
    CreatorNotFound,
    Forbidden,
    InvalidCursor,
    NotACreator,
    Problem,
    Unauthenticated,
    UpstreamUnavailable,
    ValidationFailed,
    problems,
)
from shared.http.queries import PageQuery
from shared.http.strict import strict_router
from shared.limits.gate import Call
from shared.limits.operators import is_operators, user_or_operator_gate
from shared.limits.policies import ANALYTICS

router = strict_router("analytics")

CreatorId = Annotated[UUID, Path(description="The creator's id, which is their user's.")]

_PROBLEMS: Final = (Unauthenticated, Forbidden, NotACreator, CreatorNotFound, UpstreamUnavailable)


def _asked_at(request: Request) -> datetime:
    """One moment a request: midnight may come between the gate and the route."""
    if not hasattr(request.state, "asked_at"):
        request.state.asked_at = service.now()
    at: datetime = request.state.asked_at
    return at


def _seen(request: Request) -> str | None:
    """The creator whose numbers are looked up; None for who may not see them. They would be given the lease on what is
    missing, and make those who may see it wait."""
    try:
        creator_id = str(UUID(request.path_params["creator_id"]))
    except ValueError:
        return None
    if is_operators(request):
        return creator_id
    known = sessions.presented(request)
    return creator_id if known is not None and known.user_id == creator_id else None


def _check(call: Call, creator_id: UUID) -> type[Problem]:
    """Raise Forbidden for who may not see this. Return what it means when there is no such creator."""
    if call.session is None:
        return CreatorNotFound  # an operator, who asks for nobody
    if call.session.user_id != str(creator_id):
        raise Forbidden
    return NotACreator


def _days(request: Request) -> Days | None:
    creator_id = _seen(request)
    if creator_id is None:
        return None
    try:
        query = EarningsQuery.model_validate(dict(request.query_params))
        return Days.of(creator_id, query, _asked_at(request))
    except (ValidationError, ValidationFailed):
        return None


def _past_days(request: Request) -> tuple[str, ...] | None:
    days = _days(request)
    return None if days is None else days.past_key


def _today_of_days(request: Request) -> tuple[str, ...] | None:
    days = _days(request)
    return None if days is None else days.today_key


def _past_summary(request: Request) -> tuple[str, ...] | None:
    creator_id = _seen(request)
    return None if creator_id is None else service.past_summary_key(creator_id, _asked_at(request))


def _today(request: Request) -> tuple[str, ...] | None:
    creator_id = _seen(request)
    return None if creator_id is None else earnings.key_parts(creator_id, _asked_at(request).date())


def _page(request: Request) -> tuple[str, ...] | None:
    creator_id = _seen(request)
    if creator_id is None:
        return None
    try:
        query = PageQuery.model_validate(dict(request.query_params))
        service.place_of(query)
    except (ValidationError, InvalidCursor):
        return None
    return creator_id, str(query.limit), query.cursor or "@start"


@router.get("/creator/{creator_id}/earnings", response_model=EarningsOut, responses=problems(*_PROBLEMS))
async def show_earnings(
    request: Request,
    creator_id: CreatorId,
    query: Annotated[EarningsQuery, Query()],
    call: Annotated[
        Call,
        user_or_operator_gate(
            ANALYTICS, read=(service.past_earnings.where(_past_days), earnings.space.where(_today_of_days))
        ),
    ],
) -> Response:
    """What a creator earned each day, week or month, net of the fee."""
    absent = _check(call, creator_id)
    days = Days.of(str(creator_id), query, _asked_at(request))
    return respond_with(*await service.show_earnings(days, call.fetched, *call.others), absent=absent)


@router.get("/creator/{creator_id}/summary", response_model=SummaryOut, responses=problems(*_PROBLEMS))
async def show_summary(
    request: Request,
    creator_id: CreatorId,
    call: Annotated[
        Call,
        user_or_operator_gate(
            ANALYTICS, read=(service.past_summaries.where(_past_summary), earnings.space.where(_today))
        ),
    ],
) -> Response:
    """What a creator earned so far, and was paid."""
    absent = _check(call, creator_id)
    found = await service.show_summary(str(creator_id), _asked_at(request), call.fetched, *call.others)
    return respond_with(*found, absent=absent)


@router.get(
    "/creator/{creator_id}/supporters", response_model=SupportersOut, responses=problems(*_PROBLEMS, InvalidCursor)
)
async def list_supporters(
    creator_id: CreatorId,
    query: Annotated[PageQuery, Query()],
    call: Annotated[Call, user_or_operator_gate(ANALYTICS, read=service.supporters.where(_page))],
) -> Response:
    """Who spent how much on a creator, most first."""
    absent = _check(call, creator_id)
    return await respond(
        service.supporters, call, lambda: service.list_supporters(str(creator_id), query), absent=absent
    )
