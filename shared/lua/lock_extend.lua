-- Keep a lock for longer, if it is still its holder's.
--
-- KEYS[1]   the lock
-- ARGV[1]   the holder's token
-- ARGV[2]   milliseconds from now
-- returns   1 when it was extended, 0 when it had run out, or is another's

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
