"""Where creators are paid to: an account of theirs at Stripe, which Stripe alone knows the owner of."""

from __future__ import annotations

from functions.payments import accounts_repository, repository, transfers
from functions.payments.accounts_repository import AccountRow
from functions.payments.provider import ProviderFailed
from functions.payments.schemas import PayoutAccount, PayoutAccountOut
from shared.http.problems import AccountInactive, NotACreator
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

ACTIVE = "active"
CLOSED = "closed"


async def open_account(user_id: str) -> PayoutAccountOut:
    """The creator's account, made if need be, and the page on which they tell Stripe who they are.

    Raise NotACreator, AccountInactive, PaymentProviderUnavailable.
    """
    account_id, status = await _opened(user_id)
    if status == CLOSED:  # for good: another takes its place
        account_id, status = await _opened(user_id)
    url = await transfers.onboarding_url(account_id)
    return PayoutAccountOut(payout_account=PayoutAccount.model_validate({"status": status, "onboarding_url": url}))


async def find(transaction: Transaction, user_id: str) -> AccountRow | None:
    """What is known of a creator's account."""
    return await accounts_repository.find(transaction, user_id)


async def learn(user_id: str) -> None:
    """Ask Stripe how a creator's account stands. Raise PaymentProviderUnavailable."""
    async with database().transaction(read_only=True) as transaction:
        account = await accounts_repository.find(transaction, user_id)
    if account is not None and account.account_id is not None:
        await _learn(account, account.account_id)


async def mark(transaction: Transaction, account_id: str, status: str) -> None:
    """What Stripe has told of an account, whoever asked."""
    await accounts_repository.set_status(transaction, account_id, status)


async def _opened(user_id: str) -> tuple[str, str]:
    """The creator's account by its id, and its status."""
    async with database().transaction() as transaction:
        person = (await repository.lock_people(transaction, user_id)).get(user_id)
        if person is None or not person.is_active:
            raise AccountInactive
        if not person.is_creator:
            raise NotACreator
        account = await accounts_repository.begin(transaction, user_id)
    account_id = account.account_id or await _made(account)
    return account_id, await _learn(account, account_id)


async def _made(account: AccountRow) -> str:
    """A new account at Stripe: one, however often this attempt is repeated, and wherever it died."""
    try:
        return await transfers.create_account(user_id=account.user_id, attempt=account.attempt)
    except ProviderFailed:
        await accounts_repository.count_attempt(account)  # it would be answered the same for a day
        raise


async def _learn(account: AccountRow, account_id: str) -> str:
    """The status that Stripe tells of it, which is remembered. Raise PaymentProviderUnavailable."""
    status = await transfers.account_status(account_id)
    await accounts_repository.set_found(account, account_id, status)
    return status
