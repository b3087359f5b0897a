-- A part of scripts: `now`, in Unix milliseconds, by the clock of Redis, which everybody shares.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
