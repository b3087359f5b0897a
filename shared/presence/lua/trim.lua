-- A part of scripts: forget the streams whose streamers, and the viewers, that have not been heard of for too long. Each
-- is found once, by whoever comes next, so that counts are exact when they are read and nobody has to look for them; only
-- where more than AT_ONCE were gone are some left to the next.
--
-- keys     1 live      streams by when they die, in Unix milliseconds; and "over:" stream, for a while, of what was ended:
--                      a heartbeat that was late does not bring it back
--          2 beats     viewers, as stream ":" whom, by when they are gone
--          3 counts    streams by how many watch, also of those that died, while somebody does: they may come back
--          4 crowds    how many anonymous viewers of one address count, by stream ":" address
--          5 peaks     the most viewers at once, by stream, for as long as there is a count
--          6 shown     what lists show, by stream; of those that are live and no others
-- Needs `now` (clock).
local AT_ONCE, STREAM = 5000, 36 -- a stream's id is a UUID

local function forget(keys, stream)
  redis.call('ZREM', keys[3], stream)
  redis.call('HDEL', keys[5], stream)
end

local function stop(keys, stream)
  redis.call('ZREM', keys[1], stream)
  redis.call('HDEL', keys[6], stream)
  if tonumber(redis.call('ZSCORE', keys[3], stream) or 0) <= 0 then
    forget(keys, stream)
  end
end

local function leave(keys, stream, viewers)
  local left = tonumber(redis.call('ZINCRBY', keys[3], -viewers, stream))
  -- Below zero: Redis had lost the count, and the next heartbeat begins it anew.
  if left < 0 or left == 0 and not redis.call('ZSCORE', keys[1], stream) then
    forget(keys, stream)
  end
end

-- Names of viewers as how many there are of each stream, and of each crowd.
local function reckon(viewers)
  local streams, crowds = {}, {}
  for _, viewer in ipairs(viewers) do
    local stream = string.sub(viewer, 1, STREAM)
    streams[stream] = (streams[stream] or 0) + 1
    local address = string.match(viewer, '^:a:(%x+):', STREAM + 1)
    if address then
      local crowd = stream .. ':' .. address
      crowds[crowd] = (crowds[crowd] or 0) + 1
    end
  end
  return streams, crowds
end

local function trim(keys)
  for _, stream in ipairs(redis.call('ZRANGEBYSCORE', keys[1], '-inf', now, 'LIMIT', 0, AT_ONCE)) do
    if #stream == STREAM then
      stop(keys, stream)
    else
      redis.call('ZREM', keys[1], stream)
    end
  end
  local gone = redis.call('ZRANGEBYSCORE', keys[2], '-inf', now, 'LIMIT', 0, AT_ONCE)
  if #gone == 0 then
    return
  end
  redis.call('ZREMRANGEBYRANK', keys[2], 0, #gone - 1) -- those and no others: they come first
  local streams, crowds = reckon(gone)
  for stream, viewers in pairs(streams) do
    leave(keys, stream, viewers)
  end
  for crowd, viewers in pairs(crowds) do
    if redis.call('HINCRBY', keys[4], crowd, -viewers) <= 0 then
      redis.call('HDEL', keys[4], crowd)
    end
  end
end

local function keep(keys, milliseconds)
  for _, key in ipairs(keys) do
    redis.call('PEXPIRE', key, milliseconds)
  end
end
