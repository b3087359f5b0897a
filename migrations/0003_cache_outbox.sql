-- Cached values to drop: written in the transaction that changes what they were made from, sent to Redis right after it
-- commits, and again by reconcile where the process died before it could.

CREATE TABLE cache_outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    keys       text[]      NOT NULL CHECK (cardinality(keys) > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE cache_outbox IS 'Written by shared/postgres.';

-- UPDATE is for the row locks of two drains at once.
GRANT SELECT, INSERT, UPDATE, DELETE ON cache_outbox TO digis_functions;
