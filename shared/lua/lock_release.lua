-- Let go of a lock, if it is still its holder's.
--
-- KEYS[1]   the lock
-- ARGV[1]   the holder's token
-- returns   1 when it was let go, 0 when it had run out, or is another's

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
