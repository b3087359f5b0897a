-- Store a value that is new in the world: nobody can have dropped it. Part: clock.
--
-- KEYS[1]   the value
-- ARGV[1]   milliseconds for which it is fresh
-- ARGV[2]   milliseconds for which it is kept
-- ARGV[3]   its ETag
-- ARGV[4]   its body
-- returns   1

local fresh_until = string.format('%d', now + tonumber(ARGV[1]))
redis.call('SET', KEYS[1], '1v' .. fresh_until .. ':' .. ARGV[3] .. '::0\n' .. ARGV[4], 'PX', ARGV[2])
return 1
