"""One-time codes: asked for by mail, and what a right one is good for."""

from __future__ import annotations

import asyncio
from typing import Final

from functions.auth import accounts, mail, messages, repository
from functions.auth.accounts import Caller
from functions.auth.schemas import CodeRequestedOut, CodeVerifyIn, ResetTokenOut, SignedInOut, VerifiedOut
from shared import otp, sessions, telemetry, users
from shared.http.problems import InvalidCode, MailUnavailable, Unauthenticated, UpstreamUnavailable
from shared.otp import Purpose
from shared.postgres.pool import database
from shared.sessions import Presented
from shared.upstash.errors import UpstashError
from shared.users import KnownUser

# No request for a code is answered sooner, whether there was somebody to mail or not. Above what the steps take that
# differ for the two (a message or none, in a dialogue of as many commands), below what people notice.
FLOOR_SECONDS: Final = 0.3
_RETRY_SECONDS: Final = 5


async def request(purpose: Purpose, email: str) -> CodeRequestedOut:
    """Mail a code where there is an account that can use it; the same steps where there is none.

    Raise MailUnavailable, for both: then there is no code, and none was counted.
    """
    floor = asyncio.get_running_loop().time() + FLOOR_SECONDS
    account = await repository.find_account(email)
    try:
        code = await otp.issue(purpose, email)
    except UpstashError as error:
        raise UpstreamUnavailable(headers={"Retry-After": str(_RETRY_SECONDS)}) from error
    if code is not None:
        try:
            await mail.deliver(messages.of_code(code) if account and _may_use(account.user, purpose) else None)
        except mail.MailFailed:
            await _discard(code)
            raise MailUnavailable(headers={"Retry-After": str(_RETRY_SECONDS)}) from None
    await asyncio.sleep(max(0.0, floor - asyncio.get_running_loop().time()))
    return CodeRequestedOut(expires_in=otp.ttl_seconds(purpose))


async def sign_in(given: CodeVerifyIn, caller: Caller) -> SignedInOut:
    """Sign in by code. Raise InvalidCode or AccountInactive.

    On an account whose address nobody had proved, whoever made it may not be whoever reads its mail: the password and
    the sessions of before are gone.
    """
    user = await _judged(Purpose.LOGIN, given)
    async with database().transaction() as transaction:
        if not user.email_verified:
            await users.prove_address(transaction, user)
            await repository.remove_password(transaction, user.id)
            await sessions.end_all(transaction, user.id)
        signed_in = await accounts.begin_session(transaction, user, caller)
    return accounts.answer(user.model_copy(update={"email_verified": True}), signed_in, given.device_token)


async def verify_address(given: CodeVerifyIn, presented: Presented | None) -> VerifiedOut:
    """Prove one's own address. Raise Unauthenticated without that account's session, before the code is spent."""
    session = None if presented is None else await sessions.find(presented)
    user = None if session is None else await users.find(session.user_id)
    if user is None or user.email != given.email:
        raise Unauthenticated
    await _consume(Purpose.VERIFY_EMAIL, given)
    async with database().transaction() as transaction:
        await users.prove_address(transaction, user)
    return VerifiedOut()


async def allow_reset(given: CodeVerifyIn) -> ResetTokenOut:
    """Raise InvalidCode or AccountInactive."""
    user = await _judged(Purpose.RESET_PASSWORD, given)
    return ResetTokenOut(reset_token=await accounts.allow_reset(user))


async def _judged(purpose: Purpose, given: CodeVerifyIn) -> KnownUser:
    """Whose code it was. The account is looked for first, so that a failure to do so spends no code."""
    account = await repository.find_account(given.email)
    await _consume(purpose, given)
    if account is None:
        raise InvalidCode
    accounts.refuse_inactive(account.user)
    return account.user


async def _consume(purpose: Purpose, given: CodeVerifyIn) -> None:
    try:
        right = await otp.consume(purpose, given.email, given.code)
    except UpstashError as error:
        raise UpstreamUnavailable(headers={"Retry-After": str(_RETRY_SECONDS)}) from error
    if not right:
        raise InvalidCode


async def _discard(code: otp.Code) -> None:
    try:
        await otp.discard(code)
    except UpstashError:
        telemetry.logger().warning("a code that nobody was mailed lives on until it expires")


def _may_use(user: KnownUser, purpose: Purpose) -> bool:
    return user.is_active and not (purpose is Purpose.VERIFY_EMAIL and user.email_verified)
