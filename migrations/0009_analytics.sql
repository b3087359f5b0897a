-- A creator's supporters are added up from an index alone, and it is told from it who is new. It does what
-- charges_by_pair did.
CREATE INDEX charges_by_supporter ON charges (creator_id, payer_id, created_at) INCLUDE (tokens);
DROP INDEX charges_by_pair;
