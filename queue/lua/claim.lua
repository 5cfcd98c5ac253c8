-- Leases ready tasks of one type to a worker.
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 data  6 meta  7 wake
-- ARGV    1 at most  2 lease ms  3 worker
-- RETURNS per task: {id, envelope, token, failures, crashes, ms until the deadline, lease ms}
-- ATOMIC  A task leaves the queue and gets its lease and token in one step; a token is never given twice.
local cfg = redis.call('HMGET', KEYS[6], 'paused', 'max_active', 'vtime')
if cfg[1] == '1' then return {} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local vtime = tonumber(cfg[3] or '0')
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 64)
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZADD', KEYS[1], vtime, id)
end
local n = tonumber(ARGV[1])
if cfg[2] then n = math.min(n, tonumber(cfg[2]) - redis.call('ZCARD', KEYS[2])) end
if n <= 0 then return {} end
local out = {}
local popped = redis.call('ZPOPMIN', KEYS[1], n)
for i = 1, #popped, 2 do
  local id, score = popped[i], math.floor(tonumber(popped[i + 1]))
  if score > vtime then vtime = score end
  local e = redis.call('HMGET', KEYS[5], id, id .. '#m')
  -- An id that somebody put into the queue by hand has no data: it is dropped here, there is nothing to run.
  if e[1] and e[2] then
    local claims, fails, crashes, wants, _, user =
      string.match(e[2], '^(%d+)|(%d+)|(%d+)|([01])|([^|]*)|(.*)$')
    if claims then
      claims = string.format('%d', tonumber(claims) + 1)
      local deadline = tonumber(redis.call('ZSCORE', KEYS[4], id) or now)
      local lease = math.min(tonumber(ARGV[2]), math.max(deadline - now, 1))
      redis.call('HSET', KEYS[5], id .. '#m',
        claims .. '|' .. fails .. '|' .. crashes .. '|' .. wants .. '|' .. ARGV[3] .. '|' .. user)
      redis.call('ZADD', KEYS[2], now + lease, id)
      out[#out + 1] = {id, e[1], claims, fails, crashes, tostring(deadline - now), tostring(lease)}
    end
  end
end
if #popped > 0 then
  redis.call('HSET', KEYS[6], 'vtime', string.format('%.0f', vtime))
  if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[7]) == 0 then
    redis.call('RPUSH', KEYS[7], '1')
  end
end
return out
