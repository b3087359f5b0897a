-- Put a new code in the place of an older one, unless one went out too recently. Part: clock.
--
-- KEYS[1]   the code
-- KEYS[2]   when codes went out: Unix milliseconds with commas, the newest last
-- ARGV[1]   the HMAC of the new code
-- ARGV[2]   milliseconds for which it is good
-- ARGV[3]   milliseconds that must lie between two codes
-- ARGV[4]   how many may go out in ARGV[5] milliseconds
-- returns   1 when the code is to be mailed, 0 when none is due

local recent = {}
for at in string.gmatch(redis.call('GET', KEYS[2]) or '', '%d+') do
  if tonumber(at) > now - tonumber(ARGV[5]) then
    recent[#recent + 1] = at
  end
end
local last = tonumber(recent[#recent] or 0)
if now - last < tonumber(ARGV[3]) or #recent >= tonumber(ARGV[4]) then
  return 0
end
recent[#recent + 1] = string.format('%d', now)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], table.concat(recent, ','), 'PX', ARGV[5])
return 1
