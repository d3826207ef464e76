-- Records how granted calls ended. Times are milliseconds of the server's clock.
--
-- KEYS  of the account: 1 calls  2 portal: the name of the last one that was reported
-- ARGV  1 how long the log is kept at the least
--       then two for each call: its name, and how long ago it ended; '': it was never made
--       the last two: prefix of the keys of portals, and the portal's name, or '' (see portal.lua)
--
-- A negative time is an end in the future: the call is in flight, and counts until it is reported as ended, or until then.
-- One that the log does not hold is entered: the server has lost its data, or was away when the call was made.

local calls_key, life = KEYS[1], tonumber(ARGV[1])
local portal_prefix, portal = ARGV[#ARGV - 1], ARGV[#ARGV]

if portal == '' then
  portal = redis.call('GET', KEYS[2]) or ''
end
if portal ~= '' then
  calls_key = portal_prefix .. 'calls:' .. portal
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for number = 2, #ARGV - 2, 2 do
  local ago = tonumber(ARGV[number + 1])
  if ago then
    redis.call('ZADD', calls_key, now - ago, ARGV[number])
  else
    redis.call('ZREM', calls_key, ARGV[number])
  end
end
if redis.call('PTTL', calls_key) < life then
  redis.call('PEXPIRE', calls_key, life)
end
return now
