-- Accepts tasks of one type.
-- KEYS    1 queue  2 delayed  3 deadline  4 data  5 users  6 meta  7 wake, then per task: status:<id>  reply:<id>
-- ARGV    1 number of tasks  2 default max_pending  3 default user_cap  4 seconds the reply ledger is kept, then
--         per task: id  envelope  user  band  time to live ms  delay ms  wants a reply (0|1)
-- RETURNS per task: {'OK', tasks ahead} | {'EXISTS'} | {'QUEUE_FULL', pending} | {'USER_LIMIT', live}
-- ATOMIC  A task is in every index or in none; the same id is accepted once.
local cfg = redis.call('HMGET', KEYS[6], 'max_pending', 'user_cap', 'vtime', 'submitted')
local max_pending = tonumber(cfg[1] or ARGV[2])
local user_cap = tonumber(cfg[2] or ARGV[3])
local vtime = tonumber(cfg[3] or '0')
local serial = tonumber(cfg[4] or '0')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local pending = redis.call('ZCARD', KEYS[1]) + redis.call('ZCARD', KEYS[2])
local was_empty = redis.call('EXISTS', KEYS[1]) == 0
local accepted, ready = 0, 0
local out = {}
for n = 1, tonumber(ARGV[1]) do
  local a, k = 5 + (n - 1) * 7, 8 + (n - 1) * 2
  local id, user, wants_reply = ARGV[a], ARGV[a + 2], ARGV[a + 6]
  local guard = KEYS[k]
  if wants_reply == '1' then guard = KEYS[k + 1] end
  if redis.call('HEXISTS', KEYS[4], id) == 1 or
      (wants_reply == '1' and redis.call('HEXISTS', guard, 'state') == 1) or
      (wants_reply == '0' and redis.call('EXISTS', guard) == 1) then
    out[n] = {'EXISTS'}
  elseif pending >= max_pending then
    redis.call('HINCRBY', KEYS[6], 'rejected_full', 1)
    out[n] = {'QUEUE_FULL', tostring(pending)}
  else
    local u = redis.call('HMGET', KEYS[5], user, user .. '#n')
    local live = tonumber(u[2] or '0')
    if live >= user_cap then
      redis.call('HINCRBY', KEYS[6], 'rejected_user', 1)
      out[n] = {'USER_LIMIT', tostring(live)}
    else
      local ttl, delay = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
      -- Start-time fair queuing: a user's next task starts one unit after their last; the fraction keeps the order
      -- of arrival among equals.
      local start = math.max(vtime, tonumber(u[1] or '0'))
      redis.call('HSET', KEYS[5], user, start + 1, user .. '#n', live + 1)
      local score = start + tonumber(ARGV[a + 3]) + (serial % 1000000) / 1000000
      serial = serial + 1
      redis.call('HSET', KEYS[4], id, ARGV[a + 1], id .. '#m', '0|0|0|' .. wants_reply .. '||' .. user)
      redis.call('ZADD', KEYS[3], now + ttl, id)
      if delay > 0 then
        redis.call('ZADD', KEYS[2], now + delay, id)
      else
        redis.call('ZADD', KEYS[1], string.format('%.6f', score), id)
        ready = ready + 1
      end
      redis.call('SET', KEYS[k], 'pending', 'PX', math.max(ttl + delay + 60000, 300000))
      if wants_reply == '1' then
        redis.call('HSET', KEYS[k + 1], 'state', 'pending')
        redis.call('EXPIRE', KEYS[k + 1], ARGV[4])
      end
      out[n] = {'OK', tostring(pending)}
      pending = pending + 1
      accepted = accepted + 1
    end
  end
end
if accepted > 0 then redis.call('HINCRBY', KEYS[6], 'submitted', accepted) end
-- A claim that leaves work behind passes the wake-up on, so one token is enough while the queue is not empty.
if ready > 0 and (was_empty or redis.call('LLEN', KEYS[7]) == 0) then
  redis.call('RPUSH', KEYS[7], '1')
  redis.call('LTRIM', KEYS[7], 0, 63)
end
return out
