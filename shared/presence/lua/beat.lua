-- A stream is alive, for so long from now. Parts: clock, trim.
--
-- KEYS      as trim says
-- ARGV[1]   the stream
-- ARGV[2]   what lists show of it
-- ARGV[3]   milliseconds for which it lives; all that is known is kept for twice as long
-- returns   1; 0 when it was ended meanwhile, and stays so

trim(KEYS)
if redis.call('ZSCORE', KEYS[1], 'over:' .. ARGV[1]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('ZADD', KEYS[3], 'NX', 0, ARGV[1])
redis.call('HSET', KEYS[6], ARGV[1], ARGV[2])
keep(KEYS, 2 * tonumber(ARGV[3]))
return 1
