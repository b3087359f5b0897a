"""Who may import whom inside a function."""

from __future__ import annotations

from typing import Final

# A service by its nouns, where one file would be too long: what routes may call.
NOUNS: Final = {
    *("accounts", "codes", "balances", "charges", "decisions", "history", "packages", "purchases", "webhooks"),
    *("payout_accounts", "payouts", "reconcile"),
}
BOOKS: Final = {"ledger", "ledger_repository", "repository"}

# What each layer of a function may import of that function. `checks` is ready's: its routes and rules in one.
LAYERS: Final = {
    "app": {"routes", "checks"},
    "routes": {"service", "schemas", *NOUNS},
    "service": {"repository", "schemas"},
    "accounts": {"repository", "schemas", "passwords", "mail", "messages"},  # a service by nouns
    "codes": {"repository", "schemas", "accounts", "mail", "messages"},
    "charges": {*BOOKS, "schemas", "balances", "decisions", "packages"},
    "purchases": {"repository", "schemas", "packages", "provider", "intents"},
    "webhooks": {"repository", "schemas", "provider", "inquiries"},
    "inquiries": {
        *("repository", "payouts_repository", "schemas", "movements", "intents", "transfers"),
        *("settlement", "payout_settlement", "payout_accounts"),
    },
    "payout_accounts": {"accounts_repository", "repository", "schemas", "provider", "transfers"},
    "payouts": {*BOOKS, "payouts_repository", "schemas", "balances", "decisions", "payout_accounts", "senders"},
    "senders": {*BOOKS, "payouts_repository", "balances", "payout_accounts", "provider", "transfers"},
    "payout_settlement": {*BOOKS, "payouts_repository", "balances", "movements", "provider"},
    "reconcile": {
        *("payouts_repository", "reconcile_repository", "schemas", "figures", "provider"),
        *("books", "inquiries", "senders", "transfers"),
    },
    "books": {*BOOKS, "reconcile_repository", "figures", "inquiries", "movements", "provider", "transfers"},
    "figures": set(),
    "settlement": {*BOOKS, "balances", "movements", "provider"},
    "balances": {"ledger_repository", "schemas"},
    "history": {"ledger_repository", "schemas"},
    "decisions": set(),
    "provider": set(),
    "intents": {"movements", "provider"},
    "transfers": {"movements", "provider"},
    "ledger": set(),  # plain arithmetic, which its repository takes its types from
    "ledger_repository": {"ledger", "repository"},
    "repository": {"ledger", "movements", "packages"},
    "payouts_repository": set(),
    "accounts_repository": set(),
    "reconcile_repository": {"ledger", "movements"},
    "movements": set(),
    "packages": set(),
    "schemas": set(),
    "checks": set(),
}
