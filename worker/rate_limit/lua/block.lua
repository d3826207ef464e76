-- Blocks a portal after HubSpot answered 429; a shorter time than what is left already changes nothing.
--
-- KEYS, and the last of ARGV: see portal.lua
-- ARGV  1 how long, in milliseconds
-- returns for how long it is blocked now

local left, wanted = redis.call('PTTL', blocked_key), tonumber(ARGV[1])
if left >= wanted then
  return left
end
redis.call('SET', blocked_key, wanted, 'PX', wanted)
return wanted
