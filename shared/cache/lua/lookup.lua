-- A part of scripts: read a cached value, and where there is none that is fresh, lease it to one caller in the fleet.
--
-- A value is "1" kind fresh-until ":" etag ":" token ":" leased-until "\n" body (shared/cache/entry.py). Kinds: v a value,
-- a a remembered absence, l a lease on what is not there yet. The lease is in the value, so that one GET tells all of
-- it, and so that dropping the value ends the lease: a fill begun before is then refused (fill.lua). Needs `now`.
--
-- key        of the value
-- token      of this caller, should it be given the lease
-- lease      milliseconds
-- returns    state and value: 0 fresh; 1 leased to this caller, with the stale value or nothing; 2 leased to
--            another, with the stale value or the bare lease
local function lookup(key, token, lease)
  local raw = redis.pcall('GET', key)
  if type(raw) == 'table' then
    return 2, false -- it holds something else than a string: nobody's to overwrite, and no value
  end
  local until_then = string.format('%d', now + lease)
  if raw then
    local kind, fresh, etag, leased, body = string.match(raw, '^1([val])(%d+):(%x*):%w*:(%d+)(\n.*)$')
    if kind then
      if kind ~= 'l' and tonumber(fresh) > now then
        return 0, raw
      end
      if tonumber(leased) > now then
        return 2, raw
      end
      if kind ~= 'l' then
        local head = '1' .. kind .. fresh .. ':' .. etag .. ':' .. token .. ':' .. until_then
        redis.call('SET', key, head .. body, 'KEEPTTL')
        return 1, raw
      end
    end
  end
  redis.call('SET', key, '1l0::' .. token .. ':' .. until_then .. '\n', 'PX', lease)
  return 1, false
end
