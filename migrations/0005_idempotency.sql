-- What a request with an Idempotency-Key was answered, or that somebody is at work on it. What is decided is recorded in
-- the transaction that decides it.

CREATE TABLE idempotency_keys (
    user_id       uuid        NOT NULL REFERENCES users,
    route         text        NOT NULL,
    key           text        NOT NULL CHECK (key ~ '^[!-~]{1,255}$'),
    body_hash     bytea       NOT NULL CHECK (length(body_hash) = 32),
    subject       uuid,
    claimed_until timestamptz,
    status        smallint    CHECK (status BETWEEN 200 AND 422),
    answer        text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, route, key),
    CHECK ((status IS NULL) = (answer IS NULL))
);
COMMENT ON TABLE idempotency_keys IS 'Written by shared/postgres.';
COMMENT ON COLUMN idempotency_keys.subject IS 'what was begun, where that takes more than one transaction: a repeat goes on with it';
COMMENT ON COLUMN idempotency_keys.claimed_until IS 'until then whoever began it is taken to be at work; null when they gave up';

-- For the purge of what is past its 30 days.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO digis_functions;
