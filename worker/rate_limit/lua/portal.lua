-- Prepended to the other scripts: whose limit is it? HubSpot counts the calls of an app by portal, whichever of
-- our accounts make them; as long as no portal is known, what belongs to an account alone is kept under that.
--
-- KEYS  of the account: 1 calls  2 blocked  3 quota  4 turns  5 portal: the name of the last one that was reported  6 pace
-- ARGV  the last two: prefix of the keys of portals, and the portal's name, or ''
--
-- Calls that were logged under the account before its portal was known are calls to the portal: they are moved there, and
-- what HubSpot has said by then is copied. From then on nothing is written under the account: a worker that knows no
-- portal, since it has not asked yet, uses the one that is known here.

local calls_key, blocked_key, quota_key, turns_key, pace_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]
local portal_prefix, portal = ARGV[#ARGV - 1], ARGV[#ARGV]
local PORTAL_LIFE = 86400

local portal_known = redis.call('GET', KEYS[5])
if portal == '' then
  portal = portal_known or ''
elseif portal ~= portal_known then
  redis.call('SET', KEYS[5], portal, 'EX', PORTAL_LIFE)
end

if portal ~= '' then
  calls_key, blocked_key = portal_prefix .. 'calls:' .. portal, portal_prefix .. 'blocked:' .. portal
  quota_key, turns_key = portal_prefix .. 'quota:' .. portal, portal_prefix .. 'turns:' .. portal
  pace_key = portal_prefix .. 'pace:' .. portal
  if redis.call('EXISTS', KEYS[1]) == 1 then
    local life = math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', calls_key))
    redis.call('ZUNIONSTORE', calls_key, 2, calls_key, KEYS[1], 'AGGREGATE', 'MAX')
    if life > 0 then
      redis.call('PEXPIRE', calls_key, life)
    end
    -- If it stayed, it would restore an outstanding call that has been settled under the portal meanwhile.
    redis.call('DEL', KEYS[1])
  end
  local left = redis.call('PTTL', KEYS[2])
  if left > redis.call('PTTL', blocked_key) then
    redis.call('SET', blocked_key, left, 'PX', left)
  end
  local quota_left = redis.call('PTTL', KEYS[3])
  if quota_left > 0 and redis.call('EXISTS', quota_key) == 0 then
    redis.call('SET', quota_key, redis.call('GET', KEYS[3]), 'PX', quota_left)
  end
end

