-- Who there is: everyone is a user, some users are creators, users follow creators.

-- What functions may do is granted to this role; the login that they use is a member of it.
-- On a managed database whose migration login may not create roles, make it once by hand.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'digis_functions') THEN
        CREATE ROLE digis_functions NOLOGIN;
    END IF;
END
$$;

CREATE TABLE users (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    username          text        NOT NULL UNIQUE CHECK (username ~ '^[a-z0-9_]{3,30}$'),
    email             text        NOT NULL UNIQUE CHECK (email = lower(email) AND length(email) <= 254 AND email ~ '^[^@]+@[^@]+$'),
    display_name      text        NOT NULL CHECK (length(display_name) BETWEEN 1 AND 60),
    is_creator        boolean     NOT NULL DEFAULT false,
    email_verified_at timestamptz,
    status            text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    created_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE users IS 'Written by functions/auth.';
COMMENT ON COLUMN users.status IS 'suspended and closed accounts are not shown and cannot move money';

CREATE TABLE creators (
    user_id        uuid        PRIMARY KEY REFERENCES users,
    bio            text        NOT NULL DEFAULT '' CHECK (length(bio) <= 500),
    avatar_url     text,
    links          jsonb       NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(links) = 'array'),
    category       text        NOT NULL CHECK (category ~ '^[a-z0-9_-]{1,40}$'),
    follower_count bigint      NOT NULL DEFAULT 0 CHECK (follower_count >= 0),
    created_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE creators IS 'Written by functions/creators.';
COMMENT ON COLUMN creators.follower_count IS 'kept beside follows, so that lists can be ordered by it';

-- Keyset pages: an order, its ties settled by id, alone and within a category.
CREATE INDEX creators_by_followers ON creators (follower_count DESC, user_id DESC);
CREATE INDEX creators_by_newest ON creators (created_at DESC, user_id DESC);
CREATE INDEX creators_by_category_followers ON creators (category, follower_count DESC, user_id DESC);
CREATE INDEX creators_by_category_newest ON creators (category, created_at DESC, user_id DESC);

CREATE TABLE follows (
    creator_id  uuid        NOT NULL REFERENCES creators,
    follower_id uuid        NOT NULL REFERENCES users,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (creator_id, follower_id)
);
COMMENT ON TABLE follows IS 'Written by functions/creators.';
CREATE INDEX follows_by_follower ON follows (follower_id, created_at DESC, creator_id DESC);

GRANT SELECT, INSERT, UPDATE ON users, creators TO digis_functions;
GRANT SELECT, INSERT, DELETE ON follows TO digis_functions;
