"""The routes of payments: tokens bought, tokens spent, what somebody has and how they came by it."""

from __future__ import annotations

import re
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Header, Path, Query, Request, Response

from functions.payments import (
    balances,
    charges,
    decisions,
    history,
    payout_accounts,
    payouts,
    purchases,
    reconcile,
    webhooks,
)
from functions.payments.packages import PACKAGES
from functions.payments.schemas import (
    BalanceOut,
    ChargeIn,
    ChargeOut,
    HistoryOut,
    PackageShown,
    PackagesOut,
    PayoutAccountOut,
    PayoutIn,
    PayoutOut,
    PayoutsOut,
    PurchaseIn,
    PurchaseOut,
    ReceivedOut,
    ReconciledOut,
)
from shared import sessions
from shared.cache.respond import respond
from shared.http.problems import (
    AccountInactive,
    CreatorNotFound,
    EmailUnverified,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    InsufficientEarnings,
    InsufficientTokens,
    InvalidCursor,
    InvalidSignature,
    MalformedJson,
    NotACreator,
    NotFound,
    OperatorRequired,
    PaymentProviderUnavailable,
    PayoutAccountMissing,
    PayoutInProgress,
    RequestInFlight,
    SelfCharge,
    Unauthenticated,
    UpstreamUnavailable,
    ValidationFailed,
    problems,
)
from shared.http.queries import PageQuery
from shared.http.strict import strict_router
from shared.limits.gate import Call, UserCall, gate, ungated
from shared.limits.operators import is_secret, operator_gate
from shared.limits.policies import API, PAYMENT, PUBLIC, TOKEN
from shared.postgres.idempotency import Answer
from shared.settings import settings

router = strict_router("payments")

_KEY: Final = re.compile(r"[!-~]{1,255}")
_MONEY_PROBLEMS: Final = (
    *(Unauthenticated, AccountInactive, IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight),
    UpstreamUnavailable,
)


async def _idempotency_key(
    idempotency_key: Annotated[str | None, Header(description="1 to 255 visible ASCII characters.")] = None,
) -> str:
    if not idempotency_key:
        raise IdempotencyKeyMissing
    if not _KEY.fullmatch(idempotency_key):
        message = "should be 1 to 255 visible ASCII characters"
        raise ValidationFailed(errors=[{"field": "header.idempotency-key", "message": message}])
    return idempotency_key


# After the gate in a signature: nothing is looked at before admission.
IdempotencyKey = Annotated[str, Depends(_idempotency_key)]


def _own(request: Request) -> tuple[str, ...] | None:
    known = sessions.presented(request)
    return None if known is None else (known.user_id,)


def _answered(answer: Answer) -> Response:
    """The first time and each time after that. Raise the problem that was recorded, if it was one."""
    decisions.raise_if_refused(answer)
    return Response(answer.body, answer.status, media_type="application/json")


@router.get("/packages")
async def list_packages(_: Annotated[Call, gate(PUBLIC)]) -> PackagesOut:
    """What tokens are sold in."""
    return PackagesOut(packages=[PackageShown.model_validate(package) for package in PACKAGES.values()])


@router.get("/balance", response_model=BalanceOut, responses=problems(Unauthenticated, UpstreamUnavailable))
async def show_balance(
    call: Annotated[UserCall, gate(API, session=True, read=balances.space.where(_own))],
) -> Response:
    """What the caller has."""
    return await respond(balances.space, call, lambda: balances.load_answer(call.user_id))


@router.get("/history", responses=problems(Unauthenticated, InvalidCursor, UpstreamUnavailable))
async def list_history(
    query: Annotated[PageQuery, Query()], call: Annotated[UserCall, gate(API, session=True)]
) -> HistoryOut:
    """What moved the caller's tokens, the latest first."""
    return await history.list_entries(call.user_id, query)


@router.post(
    "/tokens/purchase",
    status_code=201,
    response_model=PurchaseOut,
    responses=problems(*_MONEY_PROBLEMS, PaymentProviderUnavailable),
)
async def purchase_tokens(
    body: PurchaseIn, call: Annotated[UserCall, gate(TOKEN, session=True)], key: IdempotencyKey
) -> Response:
    """Begin to buy a package. The client confirms the payment with Stripe; then the purchase is paid."""
    return _answered(await purchases.purchase(call.user_id, body, key))


@router.get("/purchases/{purchase_id}", responses=problems(Unauthenticated, NotFound, UpstreamUnavailable))
async def show_purchase(
    purchase_id: Annotated[UUID, Path()], call: Annotated[UserCall, gate(API, session=True)]
) -> PurchaseOut:
    """One of the caller's purchases, and what has become of it."""
    return await purchases.find(call.user_id, str(purchase_id))


@router.post(
    "/charge",
    status_code=201,
    response_model=ChargeOut,
    responses=problems(*_MONEY_PROBLEMS, InsufficientTokens, CreatorNotFound, SelfCharge),
)
async def charge_tokens(
    body: ChargeIn, call: Annotated[UserCall, gate(PAYMENT, session=True)], key: IdempotencyKey
) -> Response:
    """Move tokens from the caller to a creator, exactly once per key."""
    return _answered(await charges.charge(call.user_id, body, key))


@router.post(
    "/payout-account",
    status_code=201,
    responses=problems(Unauthenticated, AccountInactive, NotACreator, PaymentProviderUnavailable, UpstreamUnavailable),
)
async def open_payout_account(call: Annotated[UserCall, gate(API, session=True)]) -> PayoutAccountOut:
    """The account that the caller is paid to, made at the first time, and the page where it is set up."""
    return await payout_accounts.open_account(call.user_id)


@router.post(
    "/payouts",
    status_code=201,
    response_model=PayoutOut,
    responses=problems(
        *_MONEY_PROBLEMS,
        *(InsufficientEarnings, NotACreator, EmailUnverified, PayoutInProgress, PayoutAccountMissing),
        PaymentProviderUnavailable,
    ),
)
async def request_payout(
    body: PayoutIn, call: Annotated[UserCall, gate(PAYMENT, session=True)], key: IdempotencyKey
) -> Response:
    """Pay some of the caller's earnings out to their account, exactly once per key."""
    return _answered(await payouts.request(call.user_id, body, key))


@router.get("/payouts", responses=problems(Unauthenticated, InvalidCursor, UpstreamUnavailable))
async def list_payouts(
    query: Annotated[PageQuery, Query()], call: Annotated[UserCall, gate(API, session=True)]
) -> PayoutsOut:
    """The caller's payouts, the latest first, and what has become of each."""
    return await payouts.list_latest(call.user_id, query)


def _is_scheduler(token: str) -> bool:
    return is_secret(token, settings().cron_secret)


@router.get(
    "/reconcile",
    name="reconcile_by_get",
    responses=problems(OperatorRequired, PaymentProviderUnavailable, UpstreamUnavailable),
)
@router.post("/reconcile", responses=problems(OperatorRequired, PaymentProviderUnavailable, UpstreamUnavailable))
async def reconcile_books(_: Annotated[Call, operator_gate(_is_scheduler)]) -> ReconciledOut:
    """For the scheduler: finish what was left half done, and find what nobody told us of."""
    return await reconcile.run()


@router.post(
    "/webhooks/stripe",
    dependencies=[ungated("Stripe signs what it sends, and sends again what is refused")],
    responses=problems(InvalidSignature, MalformedJson, PaymentProviderUnavailable, UpstreamUnavailable),
)
async def receive_event(
    request: Request, stripe_signature: Annotated[str, Header(description="Stripe's.")] = ""
) -> ReceivedOut:
    """Take one of Stripe's events."""
    return await webhooks.receive(await request.body(), stripe_signature)
