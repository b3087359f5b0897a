"""Payouts: a creator's earnings, reserved here first, then sent to their account at Stripe by `senders`."""

from __future__ import annotations

from typing import Final

from functions.payments import (
    balances,
    decisions,
    ledger,
    ledger_repository,
    payout_accounts,
    payouts_repository,
    repository,
    senders,
)
from functions.payments.ledger import TOKEN_CENTS, Kind
from functions.payments.payouts_repository import PayoutRow
from functions.payments.schemas import Payout, PayoutIn, PayoutOut, PayoutsOut
from shared import locks
from shared.http.cursors import Cursor
from shared.http.problems import (
    AccountInactive,
    EmailUnverified,
    InsufficientEarnings,
    NotACreator,
    PayoutAccountMissing,
    PayoutInProgress,
)
from shared.http.queries import PageQuery
from shared.locks import Lease
from shared.postgres import idempotency
from shared.postgres.idempotency import Answer, Operation
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

CREATED: Final = 201
CURRENCY: Final = "usd"

_BUSY_SECONDS: Final = 5  # a payout is paid when Stripe's webhook has come, seconds after it was sent
_ONBOARDING_SECONDS: Final = 60


async def request(creator_id: str, wanted: PayoutIn, key: str) -> Answer:
    """Reserve the tokens and send the money, once per key, and one payout of a creator at a time.

    Raise PayoutInProgress, NotACreator, AccountInactive, EmailUnverified, PayoutAccountMissing, RequestInFlight,
    IdempotencyKeyReused; or PaymentProviderUnavailable, where Stripe has to be asked for the account first. Once the
    tokens are reserved it is answered with 201, whatever becomes of the sending: reconcile goes on with it.
    """
    operation = Operation.of(creator_id, "payout", key, wanted)
    try:
        async with locks.hold("payout", "creator", creator_id, insist=False) as lease:
            try:
                answer, reserved = await _reserve(creator_id, operation, wanted, lease, is_sure=False)
            except _Unsure:
                await payout_accounts.learn(creator_id)
                answer, reserved = await _reserve(creator_id, operation, wanted, lease, is_sure=True)
    except locks.LockBusy:
        raise PayoutInProgress(headers={"Retry-After": str(_BUSY_SECONDS)}) from None
    if reserved is not None:
        await senders.send_new(reserved)
    return answer


async def list_latest(creator_id: str, query: PageQuery) -> PayoutsOut:
    """The caller's own. Raise InvalidCursor."""
    after = None if query.cursor is None else Cursor.decode(query.cursor, order=payouts_repository.LATEST)
    rows = await payouts_repository.list_latest(creator_id, after=after, limit=query.limit + 1)
    shown = rows[: query.limit]
    return PayoutsOut(
        payouts=[Payout.model_validate(row) for row in shown],
        next_cursor=shown[-1].cursor().encode() if len(rows) > query.limit else None,
    )


class _Unsure(Exception):
    """There is an account, which was not active when we last heard of it: what Stripe told us since may be lost."""


async def _reserve(
    creator_id: str, operation: Operation, wanted: PayoutIn, lease: Lease, *, is_sure: bool
) -> tuple[Answer, PayoutRow | None]:
    """The decision, the tokens' way into transit, and the record of both, in one transaction. Raise _Unsure unless
    it `is_sure` of what is known of the account."""
    async with database().transaction() as transaction:
        lease.release_with(transaction)
        claim = await idempotency.claim(transaction, operation)
        if claim.answer is not None:
            return claim.answer, None
        try:
            reserved = await _open(transaction, creator_id, wanted.tokens, is_sure=is_sure)
        except decisions.RECORDED as refused:
            answer = decisions.refusal(refused)
            await idempotency.record(transaction, operation, answer)
            return answer, None
        # As it will be when this is read: the next thing that happens to it is that it is sent.
        shown = Payout.model_validate(reserved).model_copy(update={"status": "submitted"})
        answer = Answer(CREATED, PayoutOut(payout=shown).model_dump_json())
        await idempotency.record(transaction, operation, answer)
    return answer, reserved


async def _account_of(transaction: Transaction, creator_id: str, *, is_sure: bool) -> str:
    account = await payout_accounts.find(transaction, creator_id)
    if account is None or account.account_id is None or (is_sure and account.status != payout_accounts.ACTIVE):
        raise PayoutAccountMissing(headers={"Retry-After": str(_ONBOARDING_SECONDS)})
    if account.status != payout_accounts.ACTIVE:
        raise _Unsure
    return account.account_id


async def _open(transaction: Transaction, creator_id: str, tokens: int, *, is_sure: bool) -> PayoutRow:
    """Refuse before anything is written: a refusal commits, with its record."""
    person = (await repository.lock_people(transaction, creator_id)).get(creator_id)
    if person is None or not person.is_active:
        raise AccountInactive
    if not person.is_creator:
        raise NotACreator
    if not person.has_proven_address:
        raise EmailUnverified
    account_id = await _account_of(transaction, creator_id, is_sure=is_sure)
    earnings_of, transit_of = (Kind.EARNINGS, creator_id), (Kind.PAYOUT_TRANSIT, creator_id)
    accounts = await ledger_repository.lock_accounts(transaction, earnings_of, transit_of)
    if await payouts_repository.has_open(transaction, creator_id):
        raise PayoutInProgress(headers={"Retry-After": str(_BUSY_SECONDS)})
    if (await balances.load(creator_id, transaction)).available_tokens < tokens:
        raise InsufficientEarnings
    cents = tokens * TOKEN_CENTS
    made = await payouts_repository.insert(
        transaction, creator_id=creator_id, tokens=tokens, cents=cents, currency=CURRENCY, account_id=account_id
    )
    if made is None:  # who has the creator's accounts has looked already: this is what holds if that should ever change
        raise PayoutInProgress(headers={"Retry-After": str(_BUSY_SECONDS)})
    postings = ledger.payout_reserved(accounts[earnings_of], accounts[transit_of], tokens=tokens)
    transfer_id = await ledger_repository.post(transaction, "payout", postings)
    await payouts_repository.insert_movement(transaction, made.id, transfer_id)
    balances.forget(transaction, creator_id)
    return made
