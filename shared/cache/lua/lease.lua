-- A lookup by itself, without a gate. Parts: clock, lookup.
--
-- KEYS[1]   the value
-- ARGV[1]   the token of this caller
-- ARGV[2]   milliseconds of the lease
-- returns   {state, value} as lookup says

local state, value = lookup(KEYS[1], ARGV[1], tonumber(ARGV[2]))
return { state, value }
