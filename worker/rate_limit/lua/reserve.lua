-- Books the next call of an account, or tells when to ask again. Times are milliseconds of the server's clock.
--
-- A call counts from its place until a window after it is over: HubSpot counts it at some moment in between, whenever it
-- leaves and however long it takes. So no window of HubSpot's holds more calls than the limit.
--
-- KEYS, and the last of ARGV: see portal.lua
--       calls     sorted set: call -> the instant at which it was over. One that is still out has the instant at which it
--                 is over at the latest, which is ahead, until settle.lua puts that right
--       blocked   text: for how long HubSpot asked for patience; its life is what is left of that
--       quota     text "calls window": HubSpot's limit, where it is lower than the worker's own
--       turns     sorted set: call that found no place -> when to ask again
--       pace      list: the places of the last calls, the latest first
--       7 identity  hash of all logs: birth, born_at, unknown_before
--       8 workers   sorted set: worker -> when it was last here
-- ARGV  1 call  2 calls  3 window  4 within  5 worker  6 birth that the worker knows, or ''  7 birth to give, if any
--       8 how long ago, at the least, calls were made that are not in the log, or -1
--       9 1: the call is a spare one, which takes only what others leave
--       10 how long after its place a call is over at the latest  11 how long after it a call may leave
-- gives { 1 if booked, wait, 1 if blocked, calls and window in force, calls in the log, workers, birth }

local identity_key, workers_key = KEYS[7], KEYS[8]
local limit, window, within = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local worker, known_birth, new_birth, unlogged_ago = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local is_spare, longest, permit_life = ARGV[9] == '1', tonumber(ARGV[10]), tonumber(ARGV[11])

local WORKERS_LIFE, IDENTITY_LIFE = 600000, 3600000
local KEPT_FREE, SPREAD = 0.01, 6 -- of the limit, for who comes next; calls that may come close together
local BEHIND, HURRY = 0.05, 0.9 -- with so much more of the limit free, the pace is so much shorter
local TURN_GRACE = 250 -- who is told to come then may be that late

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Who shares the limit, for the time when this server is away.
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

-- Calls that the log does not hold: made without this server, or before it lost its data. For a window after them
-- there is no place. A place may have been booked up to `within` ahead, and its call may leave a while after that, so the
-- calls may be that much younger.
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

-- An instant further ahead than any that is entered was entered before the clock was set back: that call is over by now, or
-- its worker will say once more that it is not.
for _, call in ipairs(redis.call('ZRANGEBYSCORE', calls_key, '(' .. now + window + longest, '+inf')) do
  redis.call('ZADD', calls_key, now, call)
end
-- Two windows are kept: an answer that took long is compared with the calls of the window that it tells about.
redis.call('ZREMRANGEBYSCORE', calls_key, '-inf', now - 2 * window)

local function answer(is_booked, wait, is_blocked)
  local logged = redis.call('ZCOUNT', calls_key, '(' .. now - window, '+inf')
  return { is_booked, wait, is_blocked, limit, window, logged, workers, birth }
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

-- A place is a window after the call that is then the limit-th latest is over. Rank 0 is the latest one in the log. Where
-- that call is still out the place is more than a window ahead, so that nobody books it.
local function place_after(rank)
  local call = redis.call('ZREVRANGE', calls_key, rank, rank, 'WITHSCORES')
  return math.max(now, unknown + window, call[2] and call[2] + window or 0)
end

-- When to ask again for a place. A call that is still out may be over at any moment.
local function wait_for(place)
  return math.min(place, math.max(now, unknown) + window) - now
end

local function book(place)
  redis.call('ZADD', calls_key, place + longest, ARGV[1])
  redis.call('PEXPIRE', calls_key, 2 * window + within + longest)
  redis.call('LPUSH', pace_key, place)
  redis.call('LTRIM', pace_key, 0, SPREAD - 1)
  redis.call('PEXPIRE', pace_key, window)
  return answer(1, place - now, 0)
end

-- A spare call goes now or not at all, and never before someone who has a turn. Some places stay free, and calls keep
-- the mean pace of the limit, so that whoever comes next finds a place at once, and not only when a window has passed.
if is_spare then
  local kept, behind = math.max(1, math.floor(limit * KEPT_FREE)), math.ceil(limit * BEHIND)
  local spread = math.min(limit, SPREAD)
  local pace = window / limit
  if kept + behind < limit and place_after(limit - 1 - kept - behind) <= now then
    pace = pace * HURRY
  end
  local place = kept < limit and place_after(limit - 1 - kept) or now + window
  local close = tonumber(redis.call('LINDEX', pace_key, spread - 1) or 0)
  local last_turn = tonumber(redis.call('ZREVRANGE', turns_key, 0, 0, 'WITHSCORES')[2] or 0)
  if close <= now + within then -- later only when the clock was set back
    place = math.max(place, close + math.ceil(spread * pace))
  end
  if last_turn <= now + window then -- later only when the clock was set back
    place = math.max(place, last_turn + TURN_GRACE)
  end
  if place > now then
    return answer(0, wait_for(place), 0)
  end
  return book(now)
end

local place = place_after(limit - 1)
if place - now <= within then
  return book(place)
end

-- Those who have to come back get turns: the first the next place, the second the one after it, and so on for a window.
-- A turn is no promise. Whoever comes books the next place there is; so none stays empty for one who does not come.
redis.call('ZREMRANGEBYSCORE', turns_key, '-inf', now - TURN_GRACE)
redis.call('ZREMRANGEBYSCORE', turns_key, '(' .. now + 2 * window, '+inf') -- the clock was set back
local waiting = redis.call('ZCOUNT', turns_key, '(' .. now + within, '+inf')
local turn = now + wait_for(place_after(math.max(limit - 1 - waiting, 0)))
redis.call('ZADD', turns_key, turn, ARGV[1])
redis.call('PEXPIRE', turns_key, 2 * window)
return answer(0, turn - now, 0)
