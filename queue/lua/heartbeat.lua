-- Renews leases of one type.
-- KEYS    1 active  2 deadline  3 data
-- ARGV    1 lease ms, then per task: id  token
-- RETURNS per task: 0 the lease is no longer yours | 1 renewed | 2 renewed, and somebody asked to cancel it
-- ATOMIC  A lease is renewed only under its own token, and never past the deadline.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local out = {}
for i = 2, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local m = redis.call('HMGET', KEYS[3], id .. '#m', id .. '#c')
  if m[1] and string.match(m[1], '^(%d+)|') == token and redis.call('ZSCORE', KEYS[1], id) then
    local deadline = tonumber(redis.call('ZSCORE', KEYS[2], id) or now)
    redis.call('ZADD', KEYS[1], 'XX', math.min(now + tonumber(ARGV[1]), math.max(deadline, now + 1)), id)
    if m[2] then out[#out + 1] = 2 else out[#out + 1] = 1 end
  else
    out[#out + 1] = 0
  end
end
return out
