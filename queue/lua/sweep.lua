#!lua flags=allow-oom
-- Finds expired leases and deadlines of lanes, and moves due retries back to the queue.
-- KEYS    outside of a Cluster first: types  list of pushed tasks; then per lane: 1 queue  2 active  3 delayed  4 deadline
--         5 data  6 users  7 meta  8 wake  9 ahead
-- ARGV    1 most tasks of each kind  2 ms without a sweep that mean an outage  3 lease ms  4 time to live in ms
--         5 ms after which the heartbeat is renewed  6 number of keys before the first lane's
--         7 most retries moved
-- RETURNS {the registered lanes or nil, the number of pushed tasks, per lane {ids whose lease ended, ids whose deadline
--         passed, length in ms of an outage that ended now}}; `finish.lua` checks each id again.
-- ATOMIC  A delayed task is in `delayed` or in the queue, never in neither.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local movable = tonumber(ARGV[7])

-- `alive` is the time of the last sweep. It stands still while this server refuses writes or no process reaches it. Then no
-- worker could renew a lease or store a result, so leases are extended by one lease time, and deadlines by the full time
-- to live.
local function sweep(base)
  local cfg = redis.call('HMGET', KEYS[base + 7], 'alive', 'grace', 'not_before')
  local alive, grace, not_before = tonumber(cfg[1] or now), tonumber(cfg[2] or '0'), tonumber(cfg[3] or '0')
  local outage = 0
  if now - alive >= tonumber(ARGV[2]) then
    outage, grace, not_before = now - alive, now + ARGV[3], now + ARGV[4]
    redis.call('HSET', KEYS[base + 7], 'alive', string.format('%d', now), 'grace', string.format('%d', grace), 'not_before',
      string.format('%d', not_before))
  elseif not cfg[1] or now - alive >= tonumber(ARGV[5]) or now < alive then
    redis.call('HSET', KEYS[base + 7], 'alive', string.format('%d', now))
  end
  local due = redis.call('ZRANGEBYSCORE', KEYS[base + 3], '-inf', now, 'LIMIT', 0, math.min(ARGV[1], movable))
  movable = movable - #due
  if #due > 0 then
    local vtime = redis.call('HGET', KEYS[base + 7], 'vtime') or '0'
    for _, id in ipairs(due) do
      redis.call('ZREM', KEYS[base + 3], id)
      redis.call('ZADD', KEYS[base + 1], string.format('%d', vtime * 1048576), id)
    end
  end
  -- If a worker died between its wake-up and its claim, its token is lost.
  if redis.call('EXISTS', KEYS[base + 1]) == 1 and redis.call('EXISTS', KEYS[base + 8]) == 0 then
    redis.call('RPUSH', KEYS[base + 8], '1')
  end
  local lost, expired = {}, {}
  if now >= grace then
    lost = redis.call('ZRANGEBYSCORE', KEYS[base + 2], '-inf', now, 'LIMIT', 0, ARGV[1])
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[base + 9], '-inf', now, 'LIMIT', 0, ARGV[1])) do lost[#lost + 1] = id end
  end
  if now >= not_before then expired = redis.call('ZRANGEBYSCORE', KEYS[base + 4], '-inf', now, 'LIMIT', 0, ARGV[1]) end
  return {lost, expired, outage}
end

local first = tonumber(ARGV[6])
local out = {false, 0, {}}
if first > 0 then
  -- Neither may keep the lanes from being swept.
  local lanes, pushed = redis.pcall('SMEMBERS', KEYS[1]), redis.pcall('LLEN', KEYS[2])
  if not lanes.err then out[1] = lanes end
  if type(pushed) == 'number' then out[2] = pushed end
end
for base = first, #KEYS - 1, 9 do table.insert(out[3], sweep(base)) end
return out
