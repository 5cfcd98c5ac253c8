#!lua flags=allow-oom
-- Leases ready tasks of one lane to a worker.
-- KEYS    1 queue  2 active  3 delayed  4 data  5 meta  6 wake  7 deadline
-- ARGV    1 most tasks  2 lease ms  3 worker
-- RETURNS id, record, id, record, … (the value in `data`, see keys.rs), with the new time of the claim
-- ATOMIC  A task leaves the queue and gets its lease and token in one step. No token is given twice.
-- Runs on a full server too: ending accepted tasks frees memory.
local cfg = redis.call('HMGET', KEYS[5], 'paused', 'max_active', 'vtime', 'not_before', 'alive')
if cfg[1] == '1' then return {} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local vtime = tonumber(cfg[3] or '0')
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 64)
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZADD', KEYS[1], string.format('%d', vtime * 1048576), id)
end
local n = tonumber(ARGV[1])
if cfg[2] then n = math.min(n, tonumber(cfg[2]) - redis.call('ZCARD', KEYS[2])) end
if n <= 0 then return {} end
local popped = redis.call('ZPOPMIN', KEYS[1], n)
if #popped == 0 then return {} end
local ids = {}
for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
local stored = redis.call('HMGET', KEYS[4], unpack(ids))
local lease_end = now + ARGV[2]
local full_lease = string.format('%d', lease_end)
local holder = '|' .. string.format('%d', now) .. '|' .. ARGV[3] .. '||'
-- After an outage no deadline passes before this.
local not_before = tonumber(cfg[4] or '0')
local values, leases, extended = {}, {}, {}
for i = 1, #ids do
  -- An id that somebody added to the queue by hand has no record: it is dropped.
  local token, rest
  if stored[i] then token, rest = string.match(stored[i], '^(%d+)|[^|]*|[^|]*|[^|]*|(%d.*)$') end
  if token then
    local deadline = tonumber(string.match(rest, '^%d+'))
    if deadline < not_before then
      deadline = not_before
      rest = string.gsub(rest, '^%d+', cfg[4], 1)
      extended[#extended + 1] = cfg[4]
      extended[#extended + 1] = ids[i]
    end
    values[#values + 1] = ids[i]
    values[#values + 1] = string.format('%d', token + 1) .. holder .. rest
    leases[#leases + 1] = full_lease
    if deadline < lease_end then leases[#leases] = string.format('%d', math.max(deadline, now + 1)) end
    leases[#leases + 1] = ids[i]
  end
end
if #leases > 0 then
  redis.call('HSET', KEYS[4], unpack(values))
  redis.call('ZADD', KEYS[2], unpack(leases))
  if #extended > 0 then redis.call('ZADD', KEYS[7], 'XX', unpack(extended)) end
  -- The sweep's heartbeat begins with the first lease, the first thing that an outage could end.
  if not cfg[5] then redis.call('HSET', KEYS[5], 'alive', string.format('%d', now)) end
end
local highest = math.floor(tonumber(popped[#popped]) / 1048576)
if highest > vtime then redis.call('HSET', KEYS[5], 'vtime', string.format('%d', highest)) end
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[6]) == 0 then
  redis.call('RPUSH', KEYS[6], '1')
end
return values
