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
local popped = redis.call('ZPOPMIN', KEYS[1], n)
if #popped == 0 then return {} end
local ids, fields, highest = {}, {}, vtime
for i = 1, #popped, 2 do
  local id, score = popped[i], math.floor(tonumber(popped[i + 1]))
  if score > highest then highest = score end
  ids[#ids + 1] = id
  fields[#fields + 1] = id
  fields[#fields + 1] = id .. '#m'
end
local stored = redis.call('HMGET', KEYS[5], unpack(fields))
local deadlines = redis.call('ZMSCORE', KEYS[4], unpack(ids))
local longest = tonumber(ARGV[2])
local metas, leases, out = {}, {}, {}
for i, id in ipairs(ids) do
  local envelope, meta = stored[2 * i - 1], stored[2 * i]
  -- An id that somebody put into the queue by hand has no data: it is dropped here, there is nothing to run.
  if envelope and meta then
    local claims, fails, crashes, rest = string.match(meta, '^(%d+)|(%d+)|(%d+)|([01]|)[^|]*|')
    local user = string.match(meta, '|([^|]*)$')
    if claims and user then
      claims = string.format('%d', claims + 1)
      local deadline = tonumber(deadlines[i] or now)
      local lease = math.min(longest, math.max(deadline - now, 1))
      metas[#metas + 1] = id .. '#m'
      metas[#metas + 1] = claims .. '|' .. fails .. '|' .. crashes .. '|' .. rest .. ARGV[3] .. '|' .. user
      leases[#leases + 1] = now + lease
      leases[#leases + 1] = id
      out[#out + 1] = {id, envelope, claims, fails, crashes, deadline - now, lease}
    end
  end
end
if #leases > 0 then
  redis.call('HSET', KEYS[5], unpack(metas))
  redis.call('ZADD', KEYS[2], unpack(leases))
end
if highest > vtime then redis.call('HSET', KEYS[6], 'vtime', string.format('%.0f', highest)) end
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[7]) == 0 then
  redis.call('RPUSH', KEYS[7], '1')
end
return out
