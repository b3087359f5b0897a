-- Store what the holder of a lease computed, or give the lease back. Refused when the lease is gone: the value was
-- dropped, or leased to another, since it was given. Part: clock.
--
-- KEYS[1]   the value
-- ARGV[1]   the token that the lease was given to
-- ARGV[2]   kind: v a value, a an absence, or nothing to give the lease back
-- ARGV[3]   milliseconds for which it is fresh
-- ARGV[4]   milliseconds for which it is kept
-- ARGV[5]   its ETag
-- ARGV[6]   its body
-- returns   1 when it was done, 0 when it was refused

local head = redis.call('GETRANGE', KEYS[1], 0, 199)
local kind, holder = string.match(head, '^1([val])%d+:%x*:(%w*):%d+\n')
if holder ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  if kind == 'l' then -- a stale value keeps its lease: nobody else is to fail at once in the same way
    redis.call('DEL', KEYS[1])
  end
  return 1
end
local fresh_until = string.format('%d', now + tonumber(ARGV[3]))
redis.call('SET', KEYS[1], '1' .. ARGV[2] .. fresh_until .. ':' .. ARGV[5] .. '::0\n' .. ARGV[6], 'PX', ARGV[4])
return 1
