-- A part of scripts, for the gate: what is known of one stream. Needs `trim`.
--
-- keys           as trim says
-- arguments[1]   the stream
-- returns        {viewers, the most so far, what lists show}; nothing when it is not live
local function ride(keys, arguments)
  trim(keys)
  local shown = redis.call('HGET', keys[6], arguments[1])
  if not shown then
    return {}
  end
  local count, peak = redis.call('ZSCORE', keys[3], arguments[1]), redis.call('HGET', keys[5], arguments[1])
  return { tonumber(count or 0), tonumber(peak or 0), shown }
end
