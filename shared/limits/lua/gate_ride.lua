-- The gate, and what rides with it once the request is admitted. Parts: clock, admit, lookup, gate, and one that defines
-- ride(keys, arguments).
--
-- KEYS, ARGV   as gate says, and after those the ride's own
-- returns      as gate says, and last what the ride returns

local answer, admitted = pass()
if admitted then
  local keys, arguments = {}, {}
  for i = tiers + lookups + 1, #KEYS do
    keys[#keys + 1] = KEYS[i]
  end
  for i = 2 * tiers + 2 * lookups + 4, #ARGV do
    arguments[#arguments + 1] = ARGV[i]
  end
  answer[2 * lookups + 2] = ride(keys, arguments)
end
return answer
