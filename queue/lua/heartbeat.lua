#!lua flags=allow-oom
-- Renews leases of one lane, and records which of the tasks that were read ahead have started.
-- KEYS    1 active  2 data  3 meta  4 ahead
-- ARGV    1 lease ms, then per task: id  token  whether it has started (0 | 1)
-- RETURNS per task: 0 the lease is lost | 1 renewed | 2 renewed, and cancellation was requested
-- ATOMIC  A lease is renewed only under its own token, and never beyond the deadline.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids = {}
for i = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
if #ids == 0 then return {} end
local stored = redis.call('HMGET', KEYS[2], unpack(ids))
local not_before = tonumber(redis.call('HGET', KEYS[3], 'not_before') or '0')
local longest = now + ARGV[1]
local usual = string.format('%d', longest)
local active, waiting, begun, started, values, out = {}, {}, {}, {}, {}, {}
for i = 1, #ids do
  out[i] = 0
  if stored[i] then
    local token, since, worker, cancel, deadline, rest =
      string.match(stored[i], '^(%d+)|([^|]*)|([^|]*)|([^|]*)|(%d+)|(.*)$')
    if token == ARGV[3 * i] then
      local ends = usual
      deadline = math.max(tonumber(deadline), not_before)
      if deadline < longest then ends = string.format('%d', math.max(deadline, now + 1)) end
      local index = active
      if since == '' and ARGV[3 * i + 1] == '0' then
        index = waiting
      elseif since == '' then
        index = begun
        started[#started + 1] = ids[i]
        values[#values + 1] = ids[i]
        values[#values + 1] = token .. '|' .. string.format('%d', now) .. '|' .. worker .. '|' .. cancel .. '|'
          .. string.format('%d', deadline) .. '|' .. rest
      end
      index[#index + 1] = ends
      index[#index + 1] = ids[i]
      out[i] = cancel == '' and 1 or 2
    end
  end
end
if #started > 0 then
  redis.call('ZREM', KEYS[4], unpack(started))
  redis.call('ZADD', KEYS[1], unpack(begun))
  redis.call('HSET', KEYS[2], unpack(values))
end
if #active > 0 then redis.call('ZADD', KEYS[1], 'XX', unpack(active)) end
if #waiting > 0 then redis.call('ZADD', KEYS[4], 'XX', unpack(waiting)) end
return out
