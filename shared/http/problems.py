"""Every way in which a request can fail, as RFC 9457 problem+json. The codes are a closed list (API.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field
from pydantic_core import to_json

from shared.http.codes import Code

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    field: str = Field(examples=["body.email"])
    message: str


class ProblemOut(BaseModel):
    """The body of every failure."""

    type: str = Field(examples=["urn:digis:problem:creator_not_found"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path of the request.")
    success: bool = False
    code: Code
    request_id: str
    errors: list[FieldError] | None = Field(None, description="Only with `validation_failed`.")


class Problem(Exception):
    """The root of every refusal that has an answer of its own. Subclasses say what happened."""

    code: ClassVar[Code]
    status: ClassVar[int]
    detail: ClassVar[str]

    def __init__(self, *, headers: Mapping[str, str] | None = None, **extensions: Any) -> None:
        super().__init__(self.code.value)
        self.headers = dict(headers or {})
        self.extensions = extensions


class MalformedJson(Problem):
    code, status, detail = Code.MALFORMED_JSON, 400, "The body is not the JSON that it should be."


class InvalidCursor(Problem):
    code, status, detail = Code.INVALID_CURSOR, 400, "This cursor was not given out for this list."


class IdempotencyKeyMissing(Problem):
    code, status, detail = Code.IDEMPOTENCY_KEY_MISSING, 400, "What moves money needs an Idempotency-Key."


class InvalidSignature(Problem):
    code, status, detail = Code.INVALID_SIGNATURE, 400, "This is not signed by Stripe, or was signed too long ago."


class Unauthenticated(Problem):
    code, status, detail = Code.UNAUTHENTICATED, 401, "This needs a session: none, or one that has ended, was sent."


class InvalidCredentials(Problem):
    code, status, detail = Code.INVALID_CREDENTIALS, 401, "There is no account with this e-mail and password."


class InvalidCode(Problem):
    code, status, detail = (
        Code.INVALID_CODE,
        401,
        "The code is wrong, used or expired, or there were too many tries.",
    )


class OperatorRequired(Problem):
    code, status, detail = Code.OPERATOR_REQUIRED, 401, "This is for operators: their token is missing or wrong."


class InsufficientTokens(Problem):
    code, status, detail = Code.INSUFFICIENT_TOKENS, 402, "There are not enough tokens for this."


class InsufficientEarnings(Problem):
    code, status, detail = Code.INSUFFICIENT_EARNINGS, 402, "There are not enough earnings to pay out yet."


class Forbidden(Problem):
    code, status, detail = Code.FORBIDDEN, 403, "This is somebody else's."


class NotACreator(Problem):
    code, status, detail = Code.NOT_A_CREATOR, 403, "Only creators may do this."


class EmailUnverified(Problem):
    code, status, detail = Code.EMAIL_UNVERIFIED, 403, "This needs a verified e-mail address."


class AccountInactive(Problem):
    code, status, detail = Code.ACCOUNT_INACTIVE, 403, "This account is suspended or closed."


class EmailTaken(Problem):
    code, status, detail = Code.EMAIL_TAKEN, 409, "There is an account with this e-mail already."


class UsernameTaken(Problem):
    code, status, detail = Code.USERNAME_TAKEN, 409, "Somebody has this username already."


class NotFound(Problem):
    code, status, detail = Code.NOT_FOUND, 404, "There is nothing at this path."


class CreatorNotFound(Problem):
    code, status, detail = Code.CREATOR_NOT_FOUND, 404, "There is no such creator."


class StreamNotFound(Problem):
    code, status, detail = Code.STREAM_NOT_FOUND, 404, "There is no such stream, or it is over."


class MethodNotAllowed(Problem):
    code, status, detail = Code.METHOD_NOT_ALLOWED, 405, "This path does not take that method."


class RequestInFlight(Problem):
    code, status, detail = Code.REQUEST_IN_FLIGHT, 409, "A request with this Idempotency-Key is being worked on."


class PayoutInProgress(Problem):
    code, status, detail = Code.PAYOUT_IN_PROGRESS, 409, "A payout is under way: one at a time."


class PayoutAccountMissing(Problem):
    code, status, detail = Code.PAYOUT_ACCOUNT_MISSING, 409, "There is no account yet that can be paid out to."


class AlreadyLive(Problem):
    code, status, detail = Code.ALREADY_LIVE, 409, "You are live already: one stream at a time."


class BodyTooLarge(Problem):
    code, status, detail = Code.BODY_TOO_LARGE, 413, "The body is over 1 MiB."


class ValidationFailed(Problem):
    code, status, detail = Code.VALIDATION_FAILED, 422, "The request is not of the right form; see errors."


class IdempotencyKeyReused(Problem):
    code, status, detail = Code.IDEMPOTENCY_KEY_REUSED, 422, "This Idempotency-Key was sent with another request."


class SelfCharge(Problem):
    code, status, detail = Code.SELF_CHARGE, 422, "Nobody pays themselves."


class RateLimited(Problem):
    code, status, detail = Code.RATE_LIMITED, 429, "Too many requests; come back after Retry-After seconds."


class Internal(Problem):
    code, status, detail = Code.INTERNAL, 500, "Something went wrong here. The request id helps us find it."


class RateLimiterUnavailable(Problem):
    code, status, detail = Code.RATE_LIMITER_UNAVAILABLE, 503, "This cannot be served safely just now."


class UpstreamUnavailable(Problem):
    code, status, detail = Code.UPSTREAM_UNAVAILABLE, 503, "A service that this needs is out of reach."


class PaymentProviderUnavailable(Problem):
    code, status, detail = Code.PAYMENT_PROVIDER_UNAVAILABLE, 503, "Payments cannot be taken just now."


class MailUnavailable(Problem):
    code, status, detail = Code.MAIL_UNAVAILABLE, 503, "No mail can be sent just now."


def document(problem: Problem, *, path: str, request_id: str) -> bytes:
    """The problem+json body."""
    return to_json(
        {
            "type": f"urn:digis:problem:{problem.code}",
            "title": problem.code.replace("_", " ").capitalize(),
            "status": problem.status,
            "detail": problem.detail,
            "instance": path.encode("utf-8", "replace").decode(),
            "success": False,
            "code": problem.code,
            "request_id": request_id,
            **problem.extensions,
        }
    )


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """What a route can answer besides success, for OpenAPI: one entry a status, naming its codes."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = by_status.setdefault(
            kind.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}},
        )
        entry["description"] = ", ".join(filter(None, [entry["description"], f"`{kind.code}`"]))
    return by_status
