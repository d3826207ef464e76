-- Grants a permit for the next call to a portal, or says when to ask again. Times are milliseconds of the server's clock.
--
-- A call counts from the instant it is allowed at until a window after it has ended: HubSpot counts it at some moment in
-- between, whenever it leaves and however long it takes. So no window of HubSpot's holds more calls than the limit.
--
-- KEYS, and the last of ARGV: see portal.lua
--       calls     sorted set: call -> the instant at which it ended. One that is still in flight has the instant at which
--                 it ends at the latest, which is ahead, until settle.lua corrects it
--       blocked   text: for how long HubSpot asked us to wait; its TTL is what is left of that
--       quota     text "calls window": HubSpot's limit, where it is lower than the worker's own
--       turns     sorted set: call that was refused -> when to ask again
--       pace      list: the instants that the last calls were allowed at, the latest first
--       7 identity  hash of all logs: birth, born_at, unknown_before
--       8 workers   sorted set: worker -> when it last asked
-- ARGV  1 call  2 calls  3 window  4 within  5 worker  6 birth that the worker knows, or ''  7 birth to give, if any
--       8 how long ago, at the least, calls were made that are not in the log, or -1
--       9 1: the call has low priority, and uses only what others leave
--       10 how long after it is allowed a call ends at the latest  11 how long after that a call may leave
-- returns { 1 if granted, wait, 1 if blocked, calls and window in force, calls in the log, workers, birth }

local identity_key, workers_key = KEYS[7], KEYS[8]
local limit, window, within = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local worker, known_birth, new_birth, unlogged_ago = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local low_priority, longest, permit_life = ARGV[9] == '1', tonumber(ARGV[10]), tonumber(ARGV[11])

local WORKERS_LIFE, IDENTITY_LIFE = 600000, 3600000
local KEPT_FREE, SPREAD = 0.01, 6 -- share of the limit kept from low priority; calls that may be close together
local BEHIND, HURRY = 0.05, 0.9 -- with so much more of the limit free, the pace is so much faster
local TURN_GRACE = 250 -- whoever has a turn may be that late

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- How many workers share the limit, for the time when this server is away.
redis.call('ZADD', workers_key, now, worker)
redis.call('ZREMRANGEBYSCORE', workers_key, '-inf', now - WORKERS_LIFE)
redis.call('ZREMRANGEBYSCORE', workers_key, '(' .. now, '+inf') -- the clock was set back
redis.call('PEXPIRE', workers_key, WORKERS_LIFE)
local workers = redis.call('ZCARD', workers_key)

-- HubSpot's limit, where it is lower than this worker's.
local quota = redis.call('GET', quota_key)
if quota then
  local quota_calls, quota_window = string.match(quota, '(%d+) (%d+)')
  if quota_calls / quota_window < limit / window then
    limit, window = tonumber(quota_calls), tonumber(quota_window)
  end
end
within = math.min(within, window)

-- Calls that the log does not hold: made without this server, or before it lost its data. Nothing is granted for a window
-- after them. A permit may have been granted up to `within` ahead, and its call may leave a while after that, so the calls
-- may be that much younger.
local identity = redis.call('HMGET', identity_key, 'birth', 'born_at', 'unknown_before')
local birth, born_at, unknown_before = identity[1], tonumber(identity[2] or now), tonumber(identity[3] or 0)
if not birth then
  birth = new_birth
  redis.call('HSET', identity_key, 'birth', birth, 'born_at', now)
end
local ahead = within + permit_life
local unknown = math.min(unknown_before, now + window + permit_life) -- later only when the clock was set back
if unlogged_ago >= 0 then
  unknown = math.max(unknown, now - unlogged_ago + ahead)
end
if known_birth ~= '' and known_birth ~= birth then
  unknown = math.max(unknown, math.min(born_at, now) + ahead)
end
if unknown ~= unknown_before then
  redis.call('HSET', identity_key, 'unknown_before', unknown)
end
redis.call('PEXPIRE', identity_key, IDENTITY_LIFE)

-- An instant further ahead than any that is ever entered was entered before the clock was set back: that call has ended by
-- now, or its worker will report it again.
for _, call in ipairs(redis.call('ZRANGEBYSCORE', calls_key, '(' .. now + window + longest, '+inf')) do
  redis.call('ZADD', calls_key, now, call)
end
-- Two windows are kept: an answer that took long is compared with the calls of the window that it is about.
redis.call('ZREMRANGEBYSCORE', calls_key, '-inf', now - 2 * window)

local function answer(is_granted, wait, is_blocked)
  local logged = redis.call('ZCOUNT', calls_key, '(' .. now - window, '+inf')
  return { is_granted, wait, is_blocked, limit, window, logged, workers, birth }
end

local blocked = redis.call('PTTL', blocked_key)
if blocked > 0 then
  local asked = tonumber(redis.call('GET', blocked_key))
  if blocked > asked then -- the clock was set back
    redis.call('PEXPIRE', blocked_key, asked)
    blocked = asked
  end
  return answer(0, blocked, 1)
end

-- The next call is allowed a window after the end of the call that is then the limit-th latest. Rank 0 is the latest in the
-- log. Where that call is still in flight the instant is more than a window ahead, so that no permit is granted for it.
local function allowed_after(rank)
  local call = redis.call('ZREVRANGE', calls_key, rank, rank, 'WITHSCORES')
  return math.max(now, unknown + window, call[2] and call[2] + window or 0)
end

-- When to ask again. A call that is still in flight may end at any moment.
local function wait_for(allowed_at)
  return math.min(allowed_at, math.max(now, unknown) + window) - now
end

local function grant(allowed_at)
  redis.call('ZADD', calls_key, allowed_at + longest, ARGV[1])
  redis.call('PEXPIRE', calls_key, 2 * window + within + longest)
  redis.call('LPUSH', pace_key, allowed_at)
  redis.call('LTRIM', pace_key, 0, SPREAD - 1)
  redis.call('PEXPIRE', pace_key, window)
  return answer(1, allowed_at - now, 0)
end

-- A call of low priority leaves now or not at all, and never before one that has a turn. Part of the limit stays free, and
-- such calls keep the limit's mean pace, so that the next ordinary call is granted at once, not after a window.
if low_priority then
  local kept, behind = math.max(1, math.floor(limit * KEPT_FREE)), math.ceil(limit * BEHIND)
  local spread = math.min(limit, SPREAD)
  local pace = window / limit
  if kept + behind < limit and allowed_after(limit - 1 - kept - behind) <= now then
    pace = pace * HURRY
  end
  local allowed_at = kept < limit and allowed_after(limit - 1 - kept) or now + window
  local close = tonumber(redis.call('LINDEX', pace_key, spread - 1) or 0)
  local last_turn = tonumber(redis.call('ZREVRANGE', turns_key, 0, 0, 'WITHSCORES')[2] or 0)
  if close <= now + within then -- later only when the clock was set back
    allowed_at = math.max(allowed_at, close + math.ceil(spread * pace))
  end
  if last_turn <= now + window then -- later only when the clock was set back
    allowed_at = math.max(allowed_at, last_turn + TURN_GRACE)
  end
  if allowed_at > now then
    return answer(0, wait_for(allowed_at), 0)
  end
  return grant(now)
end

local allowed_at = allowed_after(limit - 1)
if allowed_at - now <= within then
  return grant(allowed_at)
end

-- Refused calls get turns: the first one the next free instant, the second the one after it, and so on for a window. A turn
-- is no promise: whoever asks is granted the next free instant, so that none stays unused for one who does not return.
redis.call('ZREMRANGEBYSCORE', turns_key, '-inf', now - TURN_GRACE)
redis.call('ZREMRANGEBYSCORE', turns_key, '(' .. now + 2 * window, '+inf') -- the clock was set back
local waiting = redis.call('ZCOUNT', turns_key, '(' .. now + within, '+inf')
local turn = now + wait_for(allowed_after(math.max(limit - 1 - waiting, 0)))
redis.call('ZADD', turns_key, turn, ARGV[1])
redis.call('PEXPIRE', turns_key, 2 * window)
return answer(0, turn - now, 0)
