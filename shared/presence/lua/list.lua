-- A part of scripts, for the gate: the live streams, the most watched first, from a place on. Needs `trim`.
--
-- keys           as trim says
-- arguments[1]   how many, at most 101
-- arguments[2]   after so many viewers, and
-- arguments[3]   this stream among those that have as many; both "" for the first page
-- returns        {stream, viewers, what lists show, stream, viewers ...}
local function ride(keys, arguments)
  trim(keys)
  local limit, viewers, after = tonumber(arguments[1]), arguments[2], arguments[3]
  local found, offset, chunk = {}, 0, 200
  while #found < 3 * limit do
    local most = viewers == '' and '+inf' or viewers
    local part = redis.call('ZREVRANGEBYSCORE', keys[3], most, '-inf', 'WITHSCORES', 'LIMIT', offset, chunk)
    local streams, counts = {}, {}
    for i = 1, #part, 2 do
      if viewers == '' or tonumber(part[i + 1]) < tonumber(viewers) or part[i] < after then
        streams[#streams + 1], counts[#counts + 1] = part[i], tonumber(part[i + 1])
      end
    end
    local first = 1
    while first <= #streams and #found < 3 * limit do
      local last = math.min(#streams, first + limit - #found / 3 - 1)
      for i, shown in ipairs(redis.call('HMGET', keys[6], unpack(streams, first, last))) do
        if shown then -- the others died, and are watched still
          local at = #found
          found[at + 1], found[at + 2], found[at + 3] = streams[first + i - 1], counts[first + i - 1], shown
        end
      end
      first = last + 1
    end
    if #part < 2 * chunk then
      break
    end
    offset = offset + chunk
  end
  return found
end
