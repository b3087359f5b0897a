"""The awaits of payouts, and of reconcile, as `labels` has those of the other operations."""

from __future__ import annotations

from typing import Final

from tests.functions.payments.crash.labels import (
    ASKED,
    BEGIN,
    CLAIM,
    COMMIT,
    DROP,
    GATE,
    HEARD,
    LOCKS_ACCOUNTS,
    READ,
    RECORD,
    REMEMBER,
)

SENDS: Final = "stripe POST /v1/transfers"
LISTS: Final = "stripe GET /v1/transfers"
DECIDES: Final = "sql WITH mine AS SELECT"

_OUTBOX: Final = "sql INSERT INTO cache_outbox keys"
_POST: Final = "sql WITH transfer AS INSERT"
_MOVEMENT: Final = "sql INSERT INTO payout_movements transfer_id"
_OUTCOME: Final = "sql UPDATE payouts SET status"
_LOCK: Final = "sql SELECT id creator_id tokens"

# A payout, from the request to Stripe

_FREE: Final = ("upstash DEL EVALSHA", *DROP[1:])  # the balance and the lock in one trip
_FIND_ACCOUNT: Final = "sql SELECT user_id account_id attempt"
_ASKED_FOR: Final = (*GATE, "upstash SET", "sql connect")
_UNTIL_ACCOUNT: Final = (*_ASKED_FOR, *CLAIM, _FIND_ACCOUNT)
_DECIDES: Final = (LOCKS_ACCOUNTS, "sql SELECT FROM payouts WHERE", DECIDES)
_DECIDED: Final = (*_UNTIL_ACCOUNT, *_DECIDES)
_RESERVES: Final = ("sql INSERT INTO payouts creator_id", _POST, _MOVEMENT, RECORD, _OUTBOX, COMMIT, *_FREE)
MARK_SENT: Final = (BEGIN, _OUTCOME, COMMIT)
_PUT_OFF: Final = (BEGIN, "sql UPDATE payouts SET due_at", COMMIT)
_ANOTHER_KEY: Final = (BEGIN, "sql UPDATE payouts SET attempt", COMMIT)
_GIVE_BACK: Final = (BEGIN, _LOCK, LOCKS_ACCOUNTS, _POST, _MOVEMENT, _OUTCOME)

_SENT: Final = (*_DECIDED, *_RESERVES, *MARK_SENT, SENDS)
PAYOUT: Final = (*_SENT, *_PUT_OFF)
CLOSED_PAYOUT: Final = (*_SENT, *_GIVE_BACK, "sql UPDATE payout_accounts SET status", _OUTBOX, COMMIT)
PAYOUT_WITHOUT_FUNDS: Final = (*_SENT, *_ANOTHER_KEY)
REFUSED_PAYOUT: Final = (*_DECIDED, RECORD, COMMIT, "upstash EVALSHA")
REPEATED_PAYOUT: Final = (*_ASKED_FOR, *CLAIM[:-1], COMMIT, "upstash EVALSHA")

_GET_ACCOUNT: Final = "stripe GET /v1/accounts/:id"
_LEARN: Final = (_GET_ACCOUNT, BEGIN, "sql UPDATE payout_accounts SET account_id", COMMIT)
UNTIL_UNSURE: Final = (*_UNTIL_ACCOUNT, "sql ROLLBACK")
LEARN: Final = (READ, _FIND_ACCOUNT, COMMIT, *_LEARN)
UNSURE_PAYOUT: Final = (
    *(*UNTIL_UNSURE, *LEARN, *CLAIM, _FIND_ACCOUNT, *_DECIDES, *_RESERVES),
    *(*MARK_SENT, SENDS, *_PUT_OFF),
)
_BEGIN_ACCOUNT: Final = (*GATE, "sql connect", BEGIN, CLAIM[-1], "sql INSERT INTO payout_accounts AS", COMMIT)
FIRST_ACCOUNT: Final = (*(*_BEGIN_ACCOUNT, "stripe POST /v1/accounts", *_LEARN, "stripe POST /v1/account_links"),)

# Its webhooks

_SETTLE: Final = (
    *(BEGIN, _LOCK, "sql SELECT stripe_id FROM payout_movements", LOCKS_ACCOUNTS),
    *(_POST, _MOVEMENT, _OUTCOME),
)
TOLD: Final = (*HEARD, LISTS, *_SETTLE, REMEMBER, _OUTBOX, COMMIT, *DROP)
ONBOARDED: Final = (*HEARD, _GET_ACCOUNT, BEGIN, "sql UPDATE payout_accounts SET status", REMEMBER, COMMIT)

# Reconcile

_FIND_ROWS: Final = (BEGIN, "sql SELECT id keys FROM")
_NO_ROWS: Final = (*_FIND_ROWS, COMMIT)
CLAIM_NEXT: Final = (BEGIN, "sql UPDATE payouts SET fence", COMMIT)
_ENTRIES: Final = "stripe GET /v1/balance_transactions"
_BOOKED_AMONG: Final = "sql SELECT id FROM purchase_movements"
_FIND_MARK: Final = (READ, "sql SELECT at FROM reconcile_marks", COMMIT, _ENTRIES)
_FILTER: Final = (READ, _BOOKED_AMONG, COMMIT)
_SET_MARK: Final = (BEGIN, "sql INSERT INTO reconcile_marks AS", COMMIT)
_BALANCE: Final = "stripe GET /v1/balance"
_COMPARE: Final = (_BALANCE, _ENTRIES, BEGIN, "sql WITH mark AS SELECT", COMMIT, _BALANCE)
_CLAIM_PURCHASE: Final = (BEGIN, "sql UPDATE purchases SET due_at", COMMIT)
_PURGE: Final = (
    *(BEGIN, "sql UPDATE streams s SET", COMMIT),
    *(BEGIN, "sql UPDATE sessions SET ip", COMMIT),
    *(BEGIN, "sql DELETE FROM idempotency_keys WHERE", COMMIT),
    *(BEGIN, "sql DELETE FROM stripe_events WHERE", COMMIT),
)
START: Final = (*GATE, "sql connect")
_END: Final = (*_SET_MARK, *_COMPARE, *_CLAIM_PURCHASE, *_PURGE)
_REST: Final = (*CLAIM_NEXT, *_FIND_MARK, *_END)
_REST_WITH_ENTRIES: Final = (*CLAIM_NEXT, *_FIND_MARK, *_FILTER, *_END)

IDLE: Final = (*START, *_NO_ROWS, *_REST)

FIND_NONE: Final = (*START, *_NO_ROWS, *CLAIM_NEXT)
ADOPT: Final = (LISTS, *_SETTLE, _OUTBOX, COMMIT, *DROP)
UNHEARD: Final = (*FIND_NONE, *ADOPT, *_REST_WITH_ENTRIES)

_MAY_BE_PAID: Final = (BEGIN, CLAIM[-1], COMMIT)
_AND_ADOPT: Final = (*CLAIM_NEXT, *ADOPT, *_REST_WITH_ENTRIES)
RESUME: Final = (LISTS, *_MAY_BE_PAID, *MARK_SENT, SENDS, *_PUT_OFF)
RESUMED: Final = (*FIND_NONE, *RESUME, *_AND_ADOPT)
RESUME_ANEW: Final = (LISTS, *_MAY_BE_PAID, *_ANOTHER_KEY, *MARK_SENT, SENDS, *_PUT_OFF)
RESUMED_ANEW: Final = (*FIND_NONE, *RESUME_ANEW, *_AND_ADOPT)
GIVE_UP: Final = (LISTS, *_MAY_BE_PAID, *_GIVE_BACK, _OUTBOX, COMMIT, *DROP)
GIVEN_UP: Final = (*FIND_NONE, *GIVE_UP, *_REST)

_LOCK_ENTRY: Final = (BEGIN, "sql SELECT pg_advisory_xact_lock hashtextextended 1", _BOOKED_AMONG)
UNTIL_BOOKS: Final = (*FIND_NONE, *_FIND_MARK)
BOOK_REVERSAL: Final = (*_FILTER, "stripe GET /v1/transfers/:id", *ADOPT)
REVERSAL_UNHEARD: Final = (*UNTIL_BOOKS, *BOOK_REVERSAL, *_END)
_LOCK_PURCHASE: Final = (*ASKED, BEGIN, "sql SELECT id user_id package_id", "sql SELECT id kind cents")
_SET_PURCHASE: Final = "sql UPDATE purchases SET payment_intent_id"
BOOK_PAYMENT: Final = (
    *(*_FILTER, *_LOCK_PURCHASE, LOCKS_ACCOUNTS, "sql SELECT id tokens price_cents"),
    *(_POST, "sql INSERT INTO purchase_movements id", _SET_PURCHASE, _OUTBOX, COMMIT, *DROP),
)
PAYMENT_UNHEARD: Final = (*UNTIL_BOOKS, *BOOK_PAYMENT, *_END)
BOOK_TOP_UP: Final = (*_FILTER, *_LOCK_ENTRY, _POST, "sql INSERT INTO house_movements id", COMMIT)
TOPPED_UP: Final = (*UNTIL_BOOKS, *BOOK_TOP_UP, *_END)
UNTIL_PURCHASES: Final = (*UNTIL_BOOKS, *_SET_MARK, *_COMPARE)
CANCEL: Final = (*_CLAIM_PURCHASE, *_LOCK_PURCHASE, _SET_PURCHASE, COMMIT)
CANCELED: Final = (*UNTIL_PURCHASES, *CANCEL, *_CLAIM_PURCHASE, *_PURGE)
DRAIN: Final = (*_FIND_ROWS, DROP[0], "sql DELETE FROM cache_outbox WHERE", COMMIT)
UNDRAINED: Final = (*START, *DRAIN, *IDLE[len(START) :])
