-- A part of scripts, for tests: it fails as a key of another kind, or a mistake, would make it.
local function ride(keys, arguments)
  if arguments[1] == 'nothing' then
    return nil
  end
  return redis.call(arguments[1], keys[1])
end
