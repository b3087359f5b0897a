-- All that must be known before a request is served: may this caller, and what is cached. Parts: clock, admit, lookup.
--
-- KEYS[1..n]                 the bucket of each of the n tiers
-- KEYS[n + 1]                the cached value to look up, or none
-- ARGV[1], ARGV[2]           what the request costs (1), and n
-- ARGV[3..2n + 2]            quota and window in milliseconds of each tier, in turn
-- ARGV[2n + 3], ARGV[2n + 4] the token and the milliseconds of a lease on the cached value
-- returns                    {verdicts as admit says}, or {verdicts, state, value} as lookup says; a request that is
--                            denied looks nothing up

local tiers = tonumber(ARGV[2])
local buckets = {}
for i = 1, tiers do
  buckets[i] = KEYS[i]
end
local verdicts = admit(buckets, tonumber(ARGV[1]), ARGV, 3)
if verdicts[1] == 0 or #KEYS == tiers then
  return { verdicts }
end
local state, value = lookup(KEYS[tiers + 1], ARGV[2 * tiers + 3], tonumber(ARGV[2 * tiers + 4]))
return { verdicts, state, value }
