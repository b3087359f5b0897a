-- How people prove who they are: passwords, sessions, reset tokens. Nothing here can be presented by who reads it:
-- passwords are argon2id hashes, tokens SHA-256 of 256 random bits. One-time codes are in Redis alone.

COMMENT ON TABLE users IS 'Written by shared/users.';

-- Whoever is a creator has a profile, from the moment they are one.
ALTER TABLE creators ALTER COLUMN category SET DEFAULT 'other';
CREATE FUNCTION make_creator_profile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO creators (user_id, created_at) VALUES (NEW.id, NEW.created_at) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER creators_have_profiles AFTER INSERT OR UPDATE OF is_creator ON users
    FOR EACH ROW WHEN (NEW.is_creator) EXECUTE FUNCTION make_creator_profile();

CREATE TABLE passwords (
    user_id    uuid        PRIMARY KEY REFERENCES users,
    hash       text        NOT NULL CHECK (hash LIKE '$argon2id$%'),
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE passwords IS 'Written by functions/auth. A user without a row signs in by code.';

CREATE TABLE password_resets (
    token_hash bytea       PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id    uuid        NOT NULL UNIQUE REFERENCES users,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE password_resets IS 'Written by functions/auth. One a user: a newer one takes the place of an older.';

CREATE TABLE sessions (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id      uuid        NOT NULL REFERENCES users,
    token_hash   bytea       NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    ip           text        NOT NULL DEFAULT '',
    user_agent   text        NOT NULL DEFAULT ''
);
COMMENT ON TABLE sessions IS 'Written by shared/sessions.';
COMMENT ON COLUMN sessions.ip IS 'shown to the session''s owner alone; emptied 30 days after the session ended';
CREATE INDEX sessions_by_user ON sessions (user_id, created_at DESC, id DESC) WHERE ended_at IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON passwords, password_resets TO digis_functions;
GRANT SELECT, INSERT, UPDATE ON sessions TO digis_functions;
