"""The routes of sign-in: accounts, one-time codes, sessions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request

from functions.auth import accounts, codes, service
from functions.auth.schemas import (
    CodeRequestedOut,
    CodeRequestIn,
    CodeVerifyIn,
    CurrentSessionOut,
    LoginIn,
    RegisterIn,
    ResetIn,
    ResetTokenOut,
    SessionOut,
    SessionsOut,
    SignedInOut,
    VerifiedOut,
)
from shared import sessions, users
from shared.http.identity import client_address
from shared.http.problems import (
    AccountInactive,
    EmailTaken,
    InvalidCode,
    InvalidCredentials,
    InvalidCursor,
    MailUnavailable,
    NotFound,
    Unauthenticated,
    UpstreamUnavailable,
    UsernameTaken,
    problems,
)
from shared.http.queries import PageQuery
from shared.http.strict import strict_router
from shared.limits.gate import Call, UserCall, gate
from shared.limits.policies import API, AUTH
from shared.otp import Purpose

router = strict_router("auth")


def _caller(request: Request) -> accounts.Caller:
    return accounts.Caller(
        client_address(request.scope), request.headers.get("user-agent", ""), sessions.presented(request)
    )


def _whose(request: Request) -> str:
    """Whose token it is, alive or not: who logs out twice is told the same as often as it takes."""
    known = sessions.presented(request)
    if known is None:
        raise Unauthenticated
    return known.user_id


@router.post("/register", status_code=201, responses=problems(EmailTaken, UsernameTaken, UpstreamUnavailable))
async def register(
    body: RegisterIn, request: Request, _: Annotated[Call, gate(AUTH, bucket="register")]
) -> SignedInOut:
    """Make an account, and sign in."""
    return await accounts.register(body, _caller(request))


@router.post("/login", responses=problems(InvalidCredentials, AccountInactive, UpstreamUnavailable))
async def login(body: LoginIn, request: Request, _: Annotated[Call, gate(AUTH, bucket="login")]) -> SignedInOut:
    """Sign in by password."""
    return await accounts.login(body, _caller(request))


@router.post("/otp/request", status_code=202, responses=problems(MailUnavailable, UpstreamUnavailable))
async def request_code(body: CodeRequestIn, _: Annotated[Call, gate(AUTH, bucket="otp_request")]) -> CodeRequestedOut:
    """Have a one-time code mailed. The answer does not tell whether there is such an account."""
    return await codes.request(Purpose(body.purpose), body.email)


@router.post("/otp/verify", responses=problems(InvalidCode, Unauthenticated, AccountInactive, UpstreamUnavailable))
async def verify_code(
    body: CodeVerifyIn, request: Request, _: Annotated[Call, gate(AUTH, bucket="otp_verify")]
) -> SignedInOut | VerifiedOut | ResetTokenOut:
    """Sign in by code, prove an address (with that account's session), or be allowed a new password."""
    match Purpose(body.purpose):
        case Purpose.LOGIN:
            return await codes.sign_in(body, _caller(request))
        case Purpose.VERIFY_EMAIL:
            return await codes.verify_address(body, sessions.presented(request))
        case Purpose.RESET_PASSWORD:
            return await codes.allow_reset(body)


@router.post("/password/reset", status_code=204, responses=problems(InvalidCode, UpstreamUnavailable))
async def reset_password(body: ResetIn, _: Annotated[Call, gate(AUTH, bucket="reset")]) -> None:
    """Choose a new password. Every session of the account ends."""
    await accounts.reset_password(body)


@router.get("/session", responses=problems(Unauthenticated, UpstreamUnavailable))
async def show_session(
    call: Annotated[UserCall, gate(API, session=True, read=users.OF_CALLER)],
) -> CurrentSessionOut:
    """Who is signed in."""
    user = await users.space.of(call.fetched, lambda: users.find(call.user_id))
    if user is None:
        raise Unauthenticated
    return CurrentSessionOut(user=user.public(), session=SessionOut.model_validate(call.session))


@router.get("/sessions", responses=problems(Unauthenticated, InvalidCursor, UpstreamUnavailable))
async def list_sessions(
    query: Annotated[PageQuery, Query()], call: Annotated[UserCall, gate(API, session=True)]
) -> SessionsOut:
    """Where the caller is signed in, newest first."""
    return await service.list_sessions(query, call.session)


@router.delete(
    "/sessions/{session_id}", status_code=204, responses=problems(Unauthenticated, NotFound, UpstreamUnavailable)
)
async def end_session(session_id: Annotated[UUID, Path()], call: Annotated[UserCall, gate(API, session=True)]) -> None:
    """End one of the caller's sessions."""
    await service.end_session(call.user_id, str(session_id))


@router.post("/logout", status_code=204, responses=problems(Unauthenticated, UpstreamUnavailable))
async def logout(request: Request, _: Annotated[Call, gate(API, user_of=_whose)]) -> None:
    """End the session that this request brings."""
    presented = sessions.presented(request)
    assert presented is not None
    await service.logout(presented)


@router.post("/logout-all", status_code=204, responses=problems(Unauthenticated, UpstreamUnavailable))
async def logout_everywhere(call: Annotated[UserCall, gate(API, session=True)]) -> None:
    """End every session of the caller."""
    await service.logout_everywhere(call.user_id)
