-- A part of scripts: admit a request against every tier of its policy, or charge none of them.
--
-- A two-bucket weighted sliding window: what the previous fixed window still weighs, plus the current one, as
-- upstash_ratelimit's SlidingWindow reckons it. One key per tier holds "index:current:previous". Needs `now`
-- (clock.lua). shared/limits/window.py is the same in Python.

-- `elapsed` is below zero when the clock went back at a failover: then the window counts as not yet begun.
local function weigh(count, elapsed, window)
  return math.floor((1 - math.max(0, elapsed) / window) * count)
end

-- The first millisecond of a window at which `count`, counted in the window before it, weighs at most `room`.
local function admissible_from(count, room, window)
  local elapsed = math.max(0, math.floor(window * (1 - (room + 1) / count)))
  while elapsed < window and weigh(count, elapsed, window) > room do
    elapsed = elapsed + 1
  end
  return elapsed
end

-- Milliseconds until a request of this cost would be admitted, if nothing else is charged meanwhile.
local function wait_for(bucket, room)
  if room < 0 then
    return 2 * bucket.window -- never, in truth: it costs more than there is
  end
  if bucket.current <= room then
    return admissible_from(bucket.previous, room - bucket.current, bucket.window) - bucket.elapsed
  end
  return bucket.window - bucket.elapsed + admissible_from(bucket.current, room, bucket.window)
end

local function read_bucket(key, quota, window)
  local index = math.floor(now / window)
  local bucket = { quota = quota, window = window, index = index, current = 0, previous = 0 }
  local stored = redis.call('GET', key)
  if stored then
    local at, current, previous = string.match(stored, '^(%d+):(%d+):(%d+)$')
    at = tonumber(at)
    if at and at >= index then
      bucket.index, bucket.current, bucket.previous = at, tonumber(current), tonumber(previous)
    elseif at == index - 1 then
      bucket.previous = tonumber(current)
    end
  end
  bucket.elapsed = now - bucket.index * window
  bucket.weight = bucket.current + weigh(bucket.previous, bucket.elapsed, window)
  return bucket
end

-- keys            the bucket of each tier
-- cost            of the request (1)
-- numbers, first  quota and window in milliseconds of each tier, in turn, from numbers[first] on
-- returns         {admitted, remaining 1, wait 1, remaining 2, wait 2, ...}; admitted is 1 or 0; wait is in
--                 milliseconds: until this tier would admit the request if it would not now or has nothing left,
--                 else until its window ends
local function admit(keys, cost, numbers, first)
  local buckets, admitted = {}, 1
  for i, key in ipairs(keys) do
    buckets[i] = read_bucket(key, tonumber(numbers[first + 2 * i - 2]), tonumber(numbers[first + 2 * i - 1]))
    if buckets[i].weight + cost > buckets[i].quota then
      admitted = 0
    end
  end
  local answer = { admitted }
  for i, bucket in ipairs(buckets) do
    if admitted == 1 then
      bucket.current = bucket.current + cost
      bucket.weight = bucket.weight + cost
      local value = string.format('%d:%d:%d', bucket.index, bucket.current, bucket.previous)
      redis.call('SET', keys[i], value, 'PX', 2 * bucket.window)
    end
    local wait = bucket.window - bucket.elapsed
    if bucket.weight + cost > bucket.quota then
      wait = wait_for(bucket, bucket.quota - cost)
    end
    answer[#answer + 1] = math.max(0, bucket.quota - bucket.weight)
    answer[#answer + 1] = wait
  end
  return answer
end
