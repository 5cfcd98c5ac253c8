-- Renews leases of one type.
-- KEYS    1 active  2 deadline  3 data
-- ARGV    1 lease ms, then per task: id  token
-- RETURNS per task: 0 the lease is no longer yours | 1 renewed | 2 renewed, and somebody asked to cancel it
-- ATOMIC  A lease is renewed only under its own token, and never past the deadline.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids, fields = {}, {}
for i = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  fields[#fields + 1] = ARGV[i] .. '#m'
  fields[#fields + 1] = ARGV[i] .. '#c'
end
if #ids == 0 then return {} end
local stored = redis.call('HMGET', KEYS[3], unpack(fields))
local active = redis.call('ZMSCORE', KEYS[1], unpack(ids))
local deadlines = redis.call('ZMSCORE', KEYS[2], unpack(ids))
local leases, out = {}, {}
for i, id in ipairs(ids) do
  local meta, cancel = stored[2 * i - 1], stored[2 * i]
  out[i] = 0
  if meta and active[i] and string.match(meta, '^(%d+)|') == ARGV[2 * i + 1] then
    local deadline = tonumber(deadlines[i] or now)
    leases[#leases + 1] = math.min(now + tonumber(ARGV[1]), math.max(deadline, now + 1))
    leases[#leases + 1] = id
    if cancel then out[i] = 2 else out[i] = 1 end
  end
end
if #leases > 0 then redis.call('ZADD', KEYS[1], 'XX', unpack(leases)) end
return out
