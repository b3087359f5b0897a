"""Charges: a fan's tokens become a creator's earnings, less the house's part, exactly once per key."""

from __future__ import annotations

from functions.payments import balances, decisions, ledger, ledger_repository, packages, repository
from functions.payments.ledger import Kind
from functions.payments.schemas import Charge, ChargeIn, ChargeOut, EmbeddedCreator
from shared import earnings
from shared.http.problems import AccountInactive, CreatorNotFound, InsufficientTokens, SelfCharge
from shared.postgres import idempotency
from shared.postgres.idempotency import Answer, Operation
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

CREATED = 201


async def charge(payer_id: str, wanted: ChargeIn, key: str) -> Answer:
    """Everything in one transaction: the decision, its effect, and the record of both under the key.

    Raise RequestInFlight, IdempotencyKeyReused or AccountInactive, of which nothing is recorded.
    """
    operation = Operation.of(payer_id, "charge", key, wanted)
    async with database().transaction() as transaction:
        claim = await idempotency.claim(transaction, operation)
        if claim.answer is not None:
            return claim.answer
        try:
            made = await _charge(transaction, payer_id, wanted)
            answer = Answer(CREATED, made.model_dump_json())
        except decisions.RECORDED as refused:
            answer = decisions.refusal(refused)
        await idempotency.record(transaction, operation, answer)
    return answer


async def _charge(transaction: Transaction, payer_id: str, wanted: ChargeIn) -> ChargeOut:
    """Refuse before anything is written: a refusal commits, with its record."""
    creator_id = str(wanted.creator_id)
    people = await repository.lock_people(transaction, payer_id, creator_id)
    payer, creator = people.get(payer_id), people.get(creator_id)
    if payer is None or not payer.is_active:
        raise AccountInactive
    if creator_id == payer_id:
        raise SelfCharge
    if creator is None or not creator.is_creator or not creator.is_active:
        raise CreatorNotFound
    wallet_of, earnings_of = (Kind.WALLET, payer_id), (Kind.EARNINGS, creator_id)
    accounts = await ledger_repository.lock_accounts(transaction, wallet_of, earnings_of)
    if accounts[wallet_of].balance < wanted.tokens:
        raise InsufficientTokens
    fee = packages.fee_of(wanted.tokens)
    postings = ledger.tokens_spent(accounts[wallet_of], accounts[earnings_of], tokens=wanted.tokens, fee_tokens=fee)
    transfer_id = await ledger_repository.post(transaction, wanted.kind, postings)
    row = await repository.insert_charge(
        transaction,
        transfer_id,
        payer_id=payer_id,
        creator_id=creator_id,
        kind=wanted.kind,
        tokens=wanted.tokens,
        fee_tokens=fee,
        note=wanted.note,
    )
    balances.forget(transaction, payer_id, creator_id)
    earnings.forget(transaction, creator_id, row.created_at)
    return ChargeOut(
        charge=Charge(
            id=row.id,
            creator=EmbeddedCreator.model_validate(creator.party),
            tokens=wanted.tokens,
            fee_tokens=fee,
            kind=wanted.kind,
            created_at=row.created_at,
        ),
        balance=await balances.load(payer_id, transaction),
    )
