-- Live streams. What is live now is a row without an end; presence (who watches) is in Redis.

CREATE TABLE streams (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    creator_id   uuid        NOT NULL REFERENCES creators,
    title        text        NOT NULL CHECK (length(title) BETWEEN 1 AND 140),
    started_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz CHECK (ended_at >= started_at),
    peak_viewers integer     CHECK (peak_viewers >= 0)
);
COMMENT ON TABLE streams IS 'Written by shared/presence.';

-- A creator is live once at most; a profile asks this index whether they are.
CREATE UNIQUE INDEX streams_live_once ON streams (creator_id) WHERE ended_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON streams TO digis_functions;
