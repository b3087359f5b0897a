-- A viewer watches, for so long from now. Parts: clock, trim.
--
-- KEYS      as trim says
-- ARGV[1]   the stream
-- ARGV[2]   who: "u:" and a user, or "a:", an address and ":" and what the client calls itself
-- ARGV[3]   an address, or "" for a user
-- ARGV[4]   how many anonymous viewers of one address count
-- ARGV[5]   milliseconds for which the viewer counts
-- returns   how many watch; -1 when the stream is not live

trim(KEYS)
local stream = ARGV[1]
if not redis.call('ZSCORE', KEYS[1], stream) then
  return -1
end
local viewer, gone_at = stream .. ':' .. ARGV[2], now + tonumber(ARGV[5])
if redis.call('ZSCORE', KEYS[2], viewer) then
  redis.call('ZADD', KEYS[2], gone_at, viewer)
  return tonumber(redis.call('ZSCORE', KEYS[3], stream) or 0)
end
if ARGV[3] ~= '' then
  local crowd = stream .. ':' .. ARGV[3]
  if tonumber(redis.call('HGET', KEYS[4], crowd) or 0) >= tonumber(ARGV[4]) then
    return tonumber(redis.call('ZSCORE', KEYS[3], stream) or 0)
  end
  redis.call('HINCRBY', KEYS[4], crowd, 1)
end
redis.call('ZADD', KEYS[2], gone_at, viewer)
local count = tonumber(redis.call('ZINCRBY', KEYS[3], 1, stream))
if count > tonumber(redis.call('HGET', KEYS[5], stream) or 0) then
  redis.call('HSET', KEYS[5], stream, count)
end
keep({ KEYS[2], KEYS[3], KEYS[4], KEYS[5] }, 2 * tonumber(ARGV[5])) -- from then on the streamer's heartbeats do it
return count
