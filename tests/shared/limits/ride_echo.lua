-- A part of scripts, for tests: how often it ran, and what it was called with.
local function ride(keys, arguments)
  local answer = { redis.call('INCR', keys[1]), #keys, #arguments }
  for _, argument in ipairs(arguments) do
    answer[#answer + 1] = argument
  end
  redis.call('PEXPIRE', keys[1], 60000)
  return answer
end
