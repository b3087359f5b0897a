-- A code that could not be mailed: it is dead, and it never went out.
--
-- KEYS[1]   the code
-- KEYS[2]   when codes went out, the newest last
-- ARGV[1]   the HMAC of the code
-- returns   1 when it was done, 0 when another code has taken its place, or it was used

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
local earlier = string.match(redis.call('GET', KEYS[2]) or '', '^(.*),%d+$')
if earlier then
  redis.call('SET', KEYS[2], earlier, 'KEEPTTL')
else
  redis.call('DEL', KEYS[2])
end
return 1
