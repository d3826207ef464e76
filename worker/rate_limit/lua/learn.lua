-- Records what HubSpot says about the limit of a portal. Times are milliseconds of the server's clock.
--
-- KEYS, and the last of ARGV: see portal.lua
-- ARGV  1 calls and 2 window of the limit in force from now on  3 how long that is remembered
--       4 calls that HubSpot has counted, and 5 for how far back the log may hold them  6 prefix of new entries
-- returns the calls in the log, as far back as that; those in flight are among them

local limit, window, life = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local counted, reach, prefix = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

redis.call('SET', quota_key, limit .. ' ' .. window, 'PX', life)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local logged = redis.call('ZCOUNT', calls_key, '(' .. now - reach, '+inf')
-- Someone else made the rest, at an unknown time before now. More of them than the limit change nothing.
local missing = math.min(counted - logged, limit)
for number = 1, missing do
  redis.call('ZADD', calls_key, now, prefix .. ':' .. number)
end
if missing > 0 and redis.call('PTTL', calls_key) < 2 * window then
  redis.call('PEXPIRE', calls_key, 2 * window)
end
return logged + math.max(missing, 0)
