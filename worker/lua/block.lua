-- Notes that HubSpot asks for patience; a shorter time than what is left already changes nothing.
--
-- KEYS  1 blocked: see reserve.lua
-- ARGV  1 how long, in milliseconds
-- gives for how long there is no place now

local left, wanted = redis.call('PTTL', KEYS[1]), tonumber(ARGV[1])
if left >= wanted then
  return left
end
redis.call('SET', KEYS[1], wanted, 'PX', wanted)
return wanted
