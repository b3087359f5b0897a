-- What creators earned is paid out to their accounts at Stripe; and what reconcile needs to find what was missed.

-- More kinds of transfers. All of this is one transaction, and these tables are small yet: on large ones the check would be
-- validated, and the indexes built concurrently, in steps of their own.
ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_kind_check;
ALTER TABLE ledger_transfers ADD CONSTRAINT ledger_transfers_kind_check CHECK (kind IN
    ('grant', 'purchase', 'refund', 'refund_reversed', 'dispute', 'dispute_reversed', 'tip', 'unlock', 'call',
     'payout', 'payout_paid', 'payout_failed', 'payout_reversed', 'house'));
COMMENT ON COLUMN ledger_transfers.kind IS
    'grant: tokens that nobody paid for, such as those of the demo data; house: the house''s own money came to Stripe or went';

CREATE TABLE payout_accounts (
    user_id    uuid        PRIMARY KEY REFERENCES users,
    account_id text        UNIQUE,
    attempt    integer     NOT NULL DEFAULT 1,
    status     text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT known_before_it_is_used CHECK (account_id IS NOT NULL OR status = 'pending')
);
COMMENT ON TABLE payout_accounts IS 'Written by functions/payments.';
COMMENT ON COLUMN payout_accounts.attempt IS 'counts the accounts that were asked for: one that is closed, or was answered with a stored failure, is done with';

CREATE TABLE payouts (
    id              uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    creator_id      uuid        NOT NULL REFERENCES users,
    tokens          integer     NOT NULL CHECK (tokens >= 1000),
    amount_cents    integer     NOT NULL,
    currency        text        NOT NULL CHECK (currency = 'usd'),
    account_id      text        NOT NULL,
    status          text        NOT NULL DEFAULT 'reserved'
                    CHECK (status IN ('requested', 'reserved', 'submitted', 'paid', 'failed', 'reversed')),
    fence           integer     NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL DEFAULT now(),
    attempt         integer     NOT NULL DEFAULT 1,
    first_sent_at   timestamptz,
    sent_at         timestamptz,
    transfer_id     text        UNIQUE,
    net_cents       integer     NOT NULL DEFAULT 0,
    redeemed_tokens integer     NOT NULL DEFAULT 0 CHECK (redeemed_tokens BETWEEN 0 AND tokens),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (amount_cents = tokens * 5)
);
COMMENT ON TABLE payouts IS 'Written by functions/payments.';
COMMENT ON COLUMN payouts.account_id IS 'the account at Stripe as it was when this was asked for: a key is good for one request only';
COMMENT ON COLUMN payouts.fence IS 'counts the claims: whoever has an older one writes nothing more';
COMMENT ON COLUMN payouts.due_at IS 'from then on reconcile may claim it; a claim puts it off by more than a sender can take';
COMMENT ON COLUMN payouts.attempt IS 'which idempotency key it is sent under';
COMMENT ON COLUMN payouts.first_sent_at IS 'when this attempt was first sent, or was about to be: Stripe forgets keys after a day';
COMMENT ON COLUMN payouts.net_cents IS 'what Stripe has transferred of it, less what was reversed';
COMMENT ON COLUMN payouts.redeemed_tokens IS 'the tokens that are paid for good';
-- However many ask at once, and whatever became of the lock: one at a time.
CREATE UNIQUE INDEX payouts_one_open ON payouts (creator_id) WHERE status IN ('requested', 'reserved', 'submitted');
CREATE INDEX payouts_due ON payouts (due_at, id) WHERE status IN ('requested', 'reserved', 'submitted');
CREATE INDEX payouts_by_creator ON payouts (creator_id, created_at DESC, id DESC);

-- The transfers of the ledger that a payout is made of. Those that tell of one of Stripe's balance transactions have its
-- id: each is booked once.
CREATE TABLE payout_movements (
    transfer_id uuid        PRIMARY KEY REFERENCES ledger_transfers,
    payout_id   uuid        NOT NULL REFERENCES payouts,
    stripe_id   text        UNIQUE,
    cents       bigint      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE payout_movements IS 'Written by functions/payments.';
CREATE INDEX payout_movements_by_payout ON payout_movements (payout_id);

-- Stripe's balance transactions that are the house's own: what it paid in, what it took out, Stripe's own fees.
CREATE TABLE house_movements (
    id          text        PRIMARY KEY,
    type        text        NOT NULL,
    cents       bigint      NOT NULL,
    fee_cents   bigint      NOT NULL,
    transfer_id uuid        NOT NULL UNIQUE REFERENCES ledger_transfers,
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE house_movements IS 'Written by functions/payments.';

-- How far reconcile has looked, and what the ledger's account of Stripe came to by then.
CREATE TABLE reconcile_marks (
    name  text        PRIMARY KEY,
    at    timestamptz NOT NULL,
    cents bigint      NOT NULL DEFAULT 0
);
COMMENT ON TABLE reconcile_marks IS 'Written by functions/payments.';

-- Purchases that nobody was told of are asked after: ten minutes later, and then ever less often for a day.
ALTER TABLE purchases ADD COLUMN due_at timestamptz NOT NULL DEFAULT now() + interval '10 minutes';
CREATE INDEX purchases_due ON purchases (due_at) WHERE status = 'pending' AND payment_intent_id IS NOT NULL;
COMMENT ON COLUMN purchases.due_at IS 'from then on reconcile asks Stripe for it, while it is pending';

-- What is owed, and what those who owe spent last: a creator is not paid for it.
CREATE INDEX ledger_accounts_in_debt ON ledger_accounts (user_id) INCLUDE (balance) WHERE kind = 'owed' AND balance < 0;
-- Also what a creator's supporters are added up from.
CREATE INDEX charges_by_supporter ON charges (creator_id, payer_id, created_at) INCLUDE (tokens);
CREATE INDEX charges_by_payer ON charges (payer_id, created_at DESC, id DESC) INCLUDE (creator_id, tokens);

-- For the purge of addresses, 30 days after their session ended.
CREATE INDEX sessions_with_addresses ON sessions (coalesce(ended_at, created_at)) WHERE ip <> '' OR user_agent <> '';

GRANT SELECT, INSERT ON payout_accounts, payouts, payout_movements, house_movements, reconcile_marks TO digis_functions;
GRANT UPDATE (account_id, attempt, status) ON payout_accounts TO digis_functions;
GRANT UPDATE (status, fence, due_at, attempt, first_sent_at, sent_at, transfer_id, net_cents, redeemed_tokens)
    ON payouts TO digis_functions;
GRANT UPDATE (at, cents) ON reconcile_marks TO digis_functions;
GRANT UPDATE (due_at) ON purchases TO digis_functions;
