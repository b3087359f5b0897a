"""Accounts: to register, to sign in by password, to choose a new password."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from functions.auth import mail, messages, passwords, repository
from functions.auth.schemas import LoginIn, NewSessionOut, RegisterIn, ResetIn, SignedInOut
from shared import devices, sessions, telemetry, users
from shared.http.problems import AccountInactive, InvalidCode, InvalidCredentials
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction
from shared.sessions import Presented, SignedIn
from shared.users import KnownUser

RESET_MINUTES: Final = 15
_RESET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """From where somebody signs in, and the session that they bring along, which ends with that."""

    ip: str
    user_agent: str
    presented: Presented | None


async def register(wanted: RegisterIn, caller: Caller) -> SignedInOut:
    """A new account, signed in. Raise EmailTaken or UsernameTaken."""
    password_hash = await passwords.hashed(wanted.password.get_secret_value())
    async with database().transaction() as transaction:
        user = await users.insert(
            transaction,
            username=wanted.username,
            email=wanted.email,
            display_name=wanted.display_name or wanted.username,
            is_creator=wanted.creator,
        )
        await repository.set_password(transaction, user.id, password_hash)
        signed_in = await begin_session(transaction, user, caller)
    return answer(user, signed_in, wanted.device_token)


async def login(given: LoginIn, caller: Caller) -> SignedInOut:
    """Sign in. Raise InvalidCredentials, after the same work whatever it was that did not fit; or AccountInactive."""
    account = await repository.find_account(given.email)
    stored = account.password_hash if account else None
    password = given.password.get_secret_value()
    fits = await passwords.is_right(password, stored or passwords.NOBODYS)
    if account is None or stored is None or not fits:
        raise InvalidCredentials
    refuse_inactive(account.user)
    renewed = await passwords.hashed(password) if passwords.is_outdated(stored) else None
    async with database().transaction() as transaction:
        # Whoever proved the address meanwhile has removed the password and ended all sessions: none may follow.
        if await repository.locked_password(transaction, account.user.id) != stored:
            raise InvalidCredentials
        if renewed is not None:
            await repository.set_password(transaction, account.user.id, renewed)
        signed_in = await begin_session(transaction, account.user, caller)
    return answer(account.user, signed_in, given.device_token)


async def begin_session(transaction: Transaction, user: KnownUser, caller: Caller) -> SignedIn:
    """A new session, in the place of the one that the caller brought along."""
    if caller.presented is not None:
        await sessions.end_presented(transaction, caller.presented)
    return await sessions.begin(transaction, user.id, ip=caller.ip, user_agent=caller.user_agent)


async def allow_reset(user: KnownUser) -> str:
    """A token with which a new password may be chosen, once; it kills an older one."""
    token = secrets.token_urlsafe(_RESET_BYTES)
    async with database().transaction() as transaction:
        await repository.put_reset(transaction, user.id, _hash(token), minutes=RESET_MINUTES)
    return token


async def reset_password(wanted: ResetIn) -> None:
    """Choose a new password; every session ends, and a notice is mailed. Raise InvalidCode for a bad token."""
    token_hash = _hash(wanted.reset_token)
    if not await repository.is_reset(token_hash):  # before the work of hashing
        raise InvalidCode
    password_hash = await passwords.hashed(wanted.password.get_secret_value())
    async with database().transaction() as transaction:
        user_id = await repository.use_reset(transaction, token_hash)
        user = None if user_id is None else await users.lock(transaction, user_id)
        if user is None:
            raise InvalidCode
        await repository.set_password(transaction, user.id, password_hash)
        await users.prove_address(transaction, user)
        await sessions.end_all(transaction, user.id)
    try:
        await mail.deliver(messages.of_reset(user.email))
    except mail.MailFailed:
        telemetry.logger().warning("a notice of a new password was not mailed")  # the password is changed all the same


def refuse_inactive(user: KnownUser) -> None:
    if not user.is_active:
        raise AccountInactive


def answer(user: KnownUser, signed_in: SignedIn, device_token: str | None) -> SignedInOut:
    session = NewSessionOut(**signed_in.session.model_dump(exclude={"user_id"}), token=signed_in.token)
    return SignedInOut(user=user.public(), session=session, device_token=devices.issue(user.email, device_token))


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()
