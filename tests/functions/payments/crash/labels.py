"""The awaits of each operation that touch Postgres, Upstash or Stripe, in their order.

A new one fails the tests until it is listed here, and then it is a crash point like the others.
"""

from __future__ import annotations

from typing import Final

BEGIN: Final = "sql BEGIN READ WRITE"
READ: Final = "sql BEGIN READ ONLY"
COMMIT: Final = "sql COMMIT"
CREATES_INTENT: Final = "stripe POST /v1/payment_intents"
LOCKS_ACCOUNTS: Final = "sql SELECT FROM lock_ledger_accounts 1"

RECORD: Final = "sql INSERT INTO idempotency_keys AS"
GATE: Final = ("upstash EVALSHA",)
CLAIM: Final = (
    *(BEGIN, "sql SELECT pg_try_advisory_xact_lock hashtextextended 1", "sql SELECT body_hash subject status"),
    "sql SELECT u.id u.username u.display_name",
)
_SET_INTENT: Final = (BEGIN, "sql UPDATE purchases SET payment_intent_id", RECORD, COMMIT)
_RESUME: Final = (*GATE, "sql connect", *CLAIM, "sql SELECT id user_id package_id", RECORD, COMMIT)
DROP: Final = ("upstash DEL", BEGIN, "sql DELETE FROM cache_outbox WHERE", COMMIT)

_BEGIN_PURCHASE: Final = (
    *(*GATE, "sql connect", *CLAIM, "sql INSERT INTO purchases user_id", RECORD, COMMIT, CREATES_INTENT),
)
PURCHASE: Final = (*_BEGIN_PURCHASE, *_SET_INTENT)
FAILED_PURCHASE: Final = (
    *_BEGIN_PURCHASE,
    *(BEGIN, "sql UPDATE purchases SET attempt", "sql UPDATE idempotency_keys SET claimed_until", COMMIT),
)
RESUMED_PURCHASE: Final = (*_RESUME, CREATES_INTENT, *_SET_INTENT)
OVERTAKEN_PURCHASE: Final = (*_RESUME, "stripe GET /v1/payment_intents/:id", *_SET_INTENT)

_DECIDED: Final = (*CLAIM, LOCKS_ACCOUNTS)
_CHARGED: Final = (
    *(
        *_DECIDED,
        "sql WITH transfer AS INSERT",
        "sql INSERT INTO charges transfer_id",
        "sql WITH mine AS SELECT",
    ),
    *(RECORD, "sql INSERT INTO cache_outbox keys", COMMIT, *DROP),
)
CHARGE: Final = (*GATE, "sql connect", *_CHARGED)
COLD_GATE: Final = (
    *(
        *GATE,
        f"upstash EVAL{8 * ' SCRIPT'}",  # every script that the function knows
        "sql connect",
        BEGIN,
        "sql WITH seen AS UPDATE",
        COMMIT,
    ),
    *GATE,
)
COLD_CHARGE: Final = (*COLD_GATE, *_CHARGED)
REFUSED_CHARGE: Final = (*GATE, "sql connect", *_DECIDED, RECORD, COMMIT)

HEARD: Final = ("sql connect", READ, "sql SELECT FROM stripe_events WHERE", COMMIT)
ASKED: Final = ("stripe GET /v1/payment_intents/:id", "stripe GET /v1/refunds", "stripe GET /v1/disputes")
REMEMBER: Final = "sql INSERT INTO stripe_events id"
BOOKED: Final = (
    *(*HEARD, *ASKED, BEGIN, "sql SELECT id user_id package_id", "sql SELECT id kind cents"),
    *(LOCKS_ACCOUNTS, "sql SELECT id tokens price_cents"),
    *("sql WITH transfer AS INSERT", "sql INSERT INTO purchase_movements id"),
    *("sql UPDATE purchases SET payment_intent_id", REMEMBER, "sql INSERT INTO cache_outbox keys", COMMIT, *DROP),
)
IGNORED: Final = (*HEARD, BEGIN, REMEMBER, COMMIT)
