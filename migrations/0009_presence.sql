-- A stream lives for 90 s after its last heartbeat. Who watches is in Redis; what is kept of it is written with heartbeats.

ALTER TABLE streams ADD COLUMN last_beat_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE streams ADD COLUMN viewers integer NOT NULL DEFAULT 0 CHECK (viewers >= 0);
COMMENT ON COLUMN streams.last_beat_at IS 'a row without an end is live for 90 s after this';
COMMENT ON COLUMN streams.viewers IS 'as of the last heartbeat, for when Redis cannot be asked';
COMMENT ON COLUMN streams.peak_viewers IS 'so far, as of the last heartbeat; then for good';

-- For whoever ends the streams whose streamers just vanished.
CREATE INDEX streams_by_beat ON streams (last_beat_at) WHERE ended_at IS NULL;
