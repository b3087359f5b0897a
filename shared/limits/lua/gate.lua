-- All that must be known before a request is served: may this caller, and what is known of their session and of what
-- they ask for, both cached values. Parts: clock, admit, lookup.
--
-- KEYS[1..n]                 the bucket of each of the n tiers
-- KEYS[n + 1..]              the cached values to look up, if any
-- ARGV[1], ARGV[2]           what the request costs (1), and n
-- ARGV[3..2n + 2]            quota and window in milliseconds of each tier, in turn
-- ARGV[2n + 3..]             the token and the milliseconds of a lease on each cached value, in turn
-- returns                    {verdicts as admit says, state, value, state, value ...} as lookup says of each cached
--                            value; a request that is denied looks nothing up

local tiers = tonumber(ARGV[2])
local buckets = {}
for i = 1, tiers do
  buckets[i] = KEYS[i]
end
local verdicts = admit(buckets, tonumber(ARGV[1]), ARGV, 3)
local answer = { verdicts }
if verdicts[1] == 1 then
  for i = 1, #KEYS - tiers do
    local state, value = lookup(KEYS[tiers + i], ARGV[2 * tiers + 2 * i + 1], tonumber(ARGV[2 * tiers + 2 * i + 2]))
    answer[2 * i], answer[2 * i + 1] = state, value
  end
end
return answer
