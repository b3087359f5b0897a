-- A part of scripts: all that must be known before a request is served: may this caller, and what is known of their
-- session and of what they ask for, both cached values. Needs `now` (clock), `admit` and `lookup`.
--
-- KEYS[1..n]                 the bucket of each of the n tiers
-- KEYS[n + 1..n + m]         the m cached values to look up, if any
-- ARGV[1], [2], [3]          what the request costs (1), n and m
-- ARGV[4..2n + 3]            quota and window in milliseconds of each tier, in turn
-- ARGV[2n + 4..2n + 2m + 3]  the token and the milliseconds of a lease on each cached value, in turn
-- returns                    {verdicts as admit says, state, value, state, value ...} as lookup says of each cached
--                            value; a request that is denied looks nothing up; and whether it is admitted

local tiers, lookups = tonumber(ARGV[2]), tonumber(ARGV[3])

local function pass()
  local buckets = {}
  for i = 1, tiers do
    buckets[i] = KEYS[i]
  end
  local verdicts = admit(buckets, tonumber(ARGV[1]), ARGV, 4)
  local answer = { verdicts }
  if verdicts[1] == 1 then
    for i = 1, lookups do
      local state, value = lookup(KEYS[tiers + i], ARGV[2 * tiers + 2 * i + 2], tonumber(ARGV[2 * tiers + 2 * i + 3]))
      answer[2 * i], answer[2 * i + 1] = state, value
    end
  end
  return answer, verdicts[1] == 1
end
