-- Judge a code and use it up. Whoever has tried too often is not judged, right or wrong.
--
-- KEYS[1]   the code
-- KEYS[2]   how many wrong tries there were lately
-- KEYS[3]   how many there were today
-- ARGV[1]   the HMAC of what was sent
-- ARGV[2]   how many wrong tries close it, for ARGV[3] milliseconds from the first
-- ARGV[4]   how many close it for the day, ARGV[5] milliseconds from the first
-- returns   1 right, and used; 0 wrong, used, expired or closed

local function count(key)
  return tonumber(redis.call('GET', key) or 0)
end
local function one_more(key, window)
  if redis.call('INCR', key) == 1 then
    redis.call('PEXPIRE', key, window)
  end
end

if count(KEYS[2]) >= tonumber(ARGV[2]) or count(KEYS[3]) >= tonumber(ARGV[4]) then
  return 0
end
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
  return 1
end
one_more(KEYS[2], ARGV[3])
one_more(KEYS[3], ARGV[5])
return 0
