-- Why tokens moved: bought with money at Stripe, or spent on a creator. The ledger has the amounts; what is here may be
-- about people, and can be erased.

CREATE TABLE purchases (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id           uuid        NOT NULL REFERENCES users,
    package_id        text        NOT NULL,
    tokens            integer     NOT NULL CHECK (tokens > 0),
    price_cents       integer     NOT NULL CHECK (price_cents > 0),
    currency          text        NOT NULL CHECK (currency = 'usd'),
    status            text        NOT NULL DEFAULT 'pending'
                      CHECK (status IN ('pending', 'paid', 'failed', 'refunded', 'disputed')),
    attempt           integer     NOT NULL DEFAULT 1,
    payment_intent_id text        UNIQUE,
    client_secret     text,
    returned_cents    integer     NOT NULL DEFAULT 0 CHECK (returned_cents >= 0),
    created_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE purchases IS 'Written by functions/payments.';
COMMENT ON COLUMN purchases.attempt IS 'counts the calls that Stripe answered with a failure of its own, which it would repeat for a day';
COMMENT ON COLUMN purchases.returned_cents IS 'what refunds and disputes have taken back so far, less what came back of it';
-- What a user's debt is made of.
CREATE INDEX purchases_returned ON purchases (user_id, created_at, id) WHERE returned_cents > 0;

-- One row for each of Stripe's balance transactions, which never change: each is booked once, whatever order and however
-- often it is heard of.
CREATE TABLE purchase_movements (
    id          text        PRIMARY KEY,
    purchase_id uuid        NOT NULL REFERENCES purchases,
    kind        text        NOT NULL
                CHECK (kind IN ('purchase', 'refund', 'refund_reversed', 'dispute', 'dispute_reversed')),
    cents       bigint      NOT NULL,
    fee_cents   bigint      NOT NULL,
    transfer_id uuid        NOT NULL REFERENCES ledger_transfers,
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE purchase_movements IS 'Written by functions/payments.';
CREATE INDEX purchase_movements_by_purchase ON purchase_movements (purchase_id);
-- Nothing is bought with two payments.
CREATE UNIQUE INDEX purchase_movements_paid_once ON purchase_movements (purchase_id) WHERE kind = 'purchase';

CREATE TABLE charges (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    transfer_id uuid        NOT NULL UNIQUE REFERENCES ledger_transfers,
    payer_id    uuid        NOT NULL REFERENCES users,
    creator_id  uuid        NOT NULL REFERENCES creators,
    kind        text        NOT NULL CHECK (kind IN ('tip', 'unlock', 'call')),
    tokens      integer     NOT NULL CHECK (tokens BETWEEN 1 AND 1000000),
    fee_tokens  integer     NOT NULL CHECK (fee_tokens >= 0),
    note        text        CHECK (length(note) <= 500),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (payer_id <> creator_id)
);
COMMENT ON TABLE charges IS 'Written by functions/payments.';
COMMENT ON COLUMN charges.note IS 'what the fan wrote; erasable';

-- Stripe's events that were dealt with, each in the transaction of its effect.
CREATE TABLE stripe_events (
    id          text        PRIMARY KEY,
    type        text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('booked', 'ignored', 'parked')),
    reason      text,
    received_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE stripe_events IS 'Written by functions/payments.';
COMMENT ON COLUMN stripe_events.outcome IS 'parked: it does not fit what we know, and somebody has to look';
CREATE INDEX stripe_events_by_age ON stripe_events (received_at);
CREATE INDEX stripe_events_parked ON stripe_events (received_at) WHERE outcome = 'parked';

GRANT SELECT, INSERT ON purchases, purchase_movements, charges TO digis_functions;
GRANT UPDATE (status, attempt, payment_intent_id, client_secret, returned_cents) ON purchases TO digis_functions;
GRANT UPDATE (note) ON charges TO digis_functions;
GRANT SELECT, INSERT, DELETE ON stripe_events TO digis_functions;
