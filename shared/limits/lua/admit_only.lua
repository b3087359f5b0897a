-- Admission alone, for upstash_ratelimit's own `Ratelimit`. Parts: clock, admit.
--
-- KEYS[i]   the bucket of tier i
-- ARGV[1]   what the request costs
-- ARGV[2..] quota and window in milliseconds of each tier, in turn
-- returns   as admit says

return admit(KEYS, tonumber(ARGV[1]), ARGV, 2)
