#!lua
-- Accepts tasks of one lane.
-- KEYS    1 queue  2 delayed  3 deadline  4 data  5 users  6 meta  7 wake, then per task: its guard (reply:<id> for a task that
--         wants a reply, else status:<id>) and, with options, the guard against duplicates
-- ARGV    1 number of tasks  2 default max_pending  3 default user_cap  4 ms the reply guard is kept  5 time to live
--         in ms, then per task: id  envelope  user  wants a reply (0|1)  options ('' for none, else `band|delay in ms|ms
--         in which an identical task is a duplicate`)
-- RETURNS per task: {'OK', tasks ahead} | {'EXISTS'} | {'DUPLICATE', id} | {'QUEUE_FULL', pending} | {'USER_LIMIT', live}
-- ATOMIC  A task is in every index or in none; the same id is accepted once.
-- One write per index and call, not per task, which makes a batch cheap.
local cfg = redis.call('HMGET', KEYS[6], 'max_pending', 'user_cap', 'vtime', 'submitted')
local max_pending = tonumber(cfg[1] or ARGV[2])
local user_cap = tonumber(cfg[2] or ARGV[3])
local vtime = tonumber(cfg[3] or '0')
local serial = tonumber(cfg[4] or '0')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ready_before = redis.call('ZCARD', KEYS[1])
local pending = ready_before + redis.call('ZCARD', KEYS[2])
local data, queue, delayed, deadline, users, out = {}, {}, {}, {}, {}, {}

-- Numbers are formatted by '%d', because Redis' own conversion takes many times as long.
local ttl = tonumber(ARGV[5])
local deadline_at = string.format('%d', now + ttl)
local next_key = 8

-- Each user's virtual finish time, number of live tasks, and whether either changed.
local ids, names, accepted = {}, {}, {}
for n = 1, tonumber(ARGV[1]) do
  local user = ARGV[3 + n * 5]
  ids[n] = ARGV[1 + n * 5]
  if not users[user] then
    users[user] = true
    names[#names + 1] = user
  end
end
if #ids == 0 then return {} end
for i, stored in ipairs(redis.call('HMGET', KEYS[5], unpack(names))) do
  local finish, live = string.match(stored or '', '^(%d+)|(%d+)$')
  users[names[i]] = {tonumber(finish or '0'), tonumber(live or '0'), false}
end
-- Every live task is in the deadline index.
local live = redis.call('ZMSCORE', KEYS[3], unpack(ids))

local function accept(n)
  local a = 1 + n * 5
  local id, user, wants = ARGV[a], ARGV[a + 2], ARGV[a + 3]
  local guard, band, delay, duplicate_ms = KEYS[next_key], 0, 0, 0
  next_key = next_key + 1
  if ARGV[a + 4] ~= '' then
    band, delay, duplicate_ms = string.match(ARGV[a + 4], '^(%d+)|(%d+)|(%d+)$')
    delay = tonumber(delay)
    next_key = next_key + 1
  end
  local keep_ms = ARGV[4]
  if wants == '0' then keep_ms = string.format('%d', math.max(ttl + delay + 60000, 300000)) end
  if not redis.call('SET', guard, 'pending', 'NX', 'PX', keep_ms) then return {'EXISTS'} end
  -- The guard may have expired or be the other kind, while the task is live.
  if live[n] or accepted[id] then return {'EXISTS'} end
  if pending >= max_pending then
    redis.call('DEL', guard)
    redis.call('HINCRBY', KEYS[6], 'rejected_full', 1)
    return {'QUEUE_FULL', tostring(pending)}
  end
  local u = users[user]
  if u[2] >= user_cap then
    redis.call('DEL', guard)
    redis.call('HINCRBY', KEYS[6], 'rejected_user', 1)
    return {'USER_LIMIT', tostring(u[2])}
  end
  if duplicate_ms ~= 0 and duplicate_ms ~= '0' and not redis.call('SET', KEYS[next_key - 1], id, 'NX', 'PX', duplicate_ms) then
    local first = redis.call('GET', KEYS[next_key - 1])
    -- If the first task has ended, the person wants the answer again.
    if redis.call('HEXISTS', KEYS[4], first) == 1 then
      redis.call('DEL', guard)
      redis.call('HINCRBY', KEYS[6], 'duplicates', 1)
      return {'DUPLICATE', first}
    end
    redis.call('SET', KEYS[next_key - 1], id, 'PX', duplicate_ms)
  end
  -- Start-time fair queuing: a user's next task starts one unit after their last. A unit is 2^20; the lower bits of the score
  -- keep the order of arrival among tasks with the same start.
  local start = math.max(vtime, u[1])
  u[1], u[2], u[3] = start + 1, u[2] + 1, true
  data[#data + 1] = id
  data[#data + 1] = '0||||' .. deadline_at .. '|0|0|' .. wants .. '|' .. user .. '|' .. ARGV[a + 1]
  deadline[#deadline + 1] = deadline_at
  deadline[#deadline + 1] = id
  if delay > 0 then
    delayed[#delayed + 1] = string.format('%d', now + delay)
    delayed[#delayed + 1] = id
  else
    queue[#queue + 1] = string.format('%d', (start + band) * 1048576 + serial % 1048576)
    queue[#queue + 1] = id
  end
  accepted[id] = true
  serial = serial + 1
  pending = pending + 1
  return {'OK', tostring(pending - 1)}
end

for n = 1, tonumber(ARGV[1]) do out[n] = accept(n) end
if #data > 0 then
  redis.call('HSET', KEYS[4], unpack(data))
  redis.call('ZADD', KEYS[3], unpack(deadline))
  if #queue > 0 then redis.call('ZADD', KEYS[1], unpack(queue)) end
  if #delayed > 0 then redis.call('ZADD', KEYS[2], unpack(delayed)) end
  local changed = {}
  for user, u in pairs(users) do
    if u[3] then
      changed[#changed + 1] = user
      changed[#changed + 1] = string.format('%d|%d', u[1], u[2])
    end
  end
  redis.call('HSET', KEYS[5], unpack(changed))
  redis.call('HINCRBY', KEYS[6], 'submitted', #data / 2)
end
-- A claim that leaves tasks in the queue adds a new token, so one token is enough while the queue is not empty.
if #queue > 0 and (ready_before == 0 or redis.call('LLEN', KEYS[7]) == 0) then
  redis.call('RPUSH', KEYS[7], '1')
  redis.call('LTRIM', KEYS[7], 0, 63)
end
return out
