-- A stream is over: it is in no list any more. Its viewers are gone when they have not been heard of. Parts: clock, trim.
--
-- KEYS      as trim says
-- ARGV[1]   the stream
-- ARGV[2]   milliseconds for which a heartbeat that is late must not bring it back
-- returns   1

stop(KEYS, ARGV[1])
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), 'over:' .. ARGV[1])
keep({ KEYS[1] }, 2 * tonumber(ARGV[2]))
return 1
