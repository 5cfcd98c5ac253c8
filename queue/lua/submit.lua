-- Accepts tasks of one type.
-- KEYS    1 queue  2 delayed  3 deadline  4 data  5 users  6 meta  7 wake, then per task: its guard  its double's guard
--         (the guard is reply:<id> for a task that wants a reply, else status:<id>)
-- ARGV    1 number of tasks  2 default max_pending  3 default user_cap  4 seconds the reply ledger is kept, then per
--         task: id  envelope  user  band  time to live ms  delay ms  wants a reply (0|1)  ms in which a double counts as
--         the same (0: it does not)
-- RETURNS per task: {'OK', tasks ahead} | {'EXISTS'} | {'DUPLICATE', id} | {'QUEUE_FULL', pending} | {'USER_LIMIT', live}
-- ATOMIC  A task is in every index or in none; the same id is accepted once.
-- One write per index and call, not per task: that is what makes a batch cheap.
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

-- A user's virtual finish and live tasks, read once.
local function load(user)
  local known = users[user]
  if known then return known end
  local stored = redis.call('HGET', KEYS[5], user)
  local finish, live = 0, 0
  if stored then finish, live = string.match(stored, '^(%d+)|(%d+)$') end
  known = {tonumber(finish or '0'), tonumber(live or '0'), false}
  users[user] = known
  return known
end

local function accept(n)
  local a, k = 5 + (n - 1) * 8, 8 + (n - 1) * 2
  local id, user, ttl, delay = ARGV[a], ARGV[a + 2], tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  local wants, double_ms = ARGV[a + 6], ARGV[a + 7]
  local keep_ms = math.max(ttl + delay + 60000, 300000)
  if wants == '1' then keep_ms = ARGV[4] * 1000 end
  if not redis.call('SET', KEYS[k], 'pending', 'NX', 'PX', keep_ms) then return {'EXISTS'} end
  -- The guard of a task without a reply goes with its status; the task itself may live on.
  if wants == '0' and redis.call('HEXISTS', KEYS[4], id) == 1 then return {'EXISTS'} end
  if pending >= max_pending then
    redis.call('DEL', KEYS[k])
    redis.call('HINCRBY', KEYS[6], 'rejected_full', 1)
    return {'QUEUE_FULL', tostring(pending)}
  end
  local u = load(user)
  if u[2] >= user_cap then
    redis.call('DEL', KEYS[k])
    redis.call('HINCRBY', KEYS[6], 'rejected_user', 1)
    return {'USER_LIMIT', tostring(u[2])}
  end
  if double_ms ~= '0' and not redis.call('SET', KEYS[k + 1], id, 'NX', 'PX', double_ms) then
    redis.call('DEL', KEYS[k])
    redis.call('HINCRBY', KEYS[6], 'duplicates', 1)
    return {'DUPLICATE', redis.call('GET', KEYS[k + 1])}
  end
  -- Start-time fair queuing: a user's next task starts one unit after their last; the fraction keeps the order of
  -- arrival among equals.
  local start = math.max(vtime, u[1])
  u[1], u[2], u[3] = start + 1, u[2] + 1, true
  data[#data + 1] = id
  data[#data + 1] = ARGV[a + 1]
  data[#data + 1] = id .. '#m'
  data[#data + 1] = '0|0|0|' .. wants .. '||' .. user
  deadline[#deadline + 1] = now + ttl
  deadline[#deadline + 1] = id
  if delay > 0 then
    delayed[#delayed + 1] = now + delay
    delayed[#delayed + 1] = id
  else
    queue[#queue + 1] = string.format('%.6f', start + tonumber(ARGV[a + 3]) + (serial % 1000000) / 1000000)
    queue[#queue + 1] = id
  end
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
  redis.call('HINCRBY', KEYS[6], 'submitted', #data / 4)
end
-- A claim that leaves work behind passes the wake-up on, so one token is enough while the queue is not empty.
if #queue > 0 and (ready_before == 0 or redis.call('LLEN', KEYS[7]) == 0) then
  redis.call('RPUSH', KEYS[7], '1')
  redis.call('LTRIM', KEYS[7], 0, 63)
end
return out
