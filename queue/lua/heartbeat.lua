#!lua flags=allow-oom
-- Renews leases of one lane.
-- KEYS    1 active  2 data  3 meta
-- ARGV    1 lease ms, then per task: id  token
-- RETURNS per task: 0 the lease is lost | 1 renewed | 2 renewed, and cancellation was requested
-- ATOMIC  A lease is renewed only under its own token, and never beyond the deadline.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids = {}
for i = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
if #ids == 0 then return {} end
local stored = redis.call('HMGET', KEYS[2], unpack(ids))
local not_before = tonumber(redis.call('HGET', KEYS[3], 'not_before') or '0')
local lease_end = now + ARGV[1]
local full_lease = string.format('%d', lease_end)
local leases, out = {}, {}
for i = 1, #ids do
  out[i] = 0
  if stored[i] then
    local token, cancel, deadline = string.match(stored[i], '^(%d+)|[^|]*|[^|]*|([^|]*)|(%d+)')
    if token == ARGV[2 * i + 1] then
      leases[#leases + 1] = full_lease
      deadline = math.max(tonumber(deadline), not_before)
      if deadline < lease_end then leases[#leases] = string.format('%d', math.max(deadline, now + 1)) end
      leases[#leases + 1] = ids[i]
      if cancel == '' then out[i] = 1 else out[i] = 2 end
    end
  end
end
if #leases > 0 then redis.call('ZADD', KEYS[1], 'XX', unpack(leases)) end
return out
