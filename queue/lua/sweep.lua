-- Finds what is due in one type, and moves due retries back to the queue.
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 meta  6 wake
-- ARGV    1 at most
-- RETURNS {ids whose lease ended, ids whose deadline passed}; `finish` decides again for each of them.
-- ATOMIC  A delayed task is in `delayed` or in the queue, never in neither.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[1])
if #due > 0 then
  local vtime = redis.call('HGET', KEYS[5], 'vtime') or '0'
  for _, id in ipairs(due) do
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZADD', KEYS[1], string.format('%d', vtime * 1048576), id)
  end
end
-- A worker that died between its wake-up and its claim took the token with it.
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[6]) == 0 then
  redis.call('RPUSH', KEYS[6], '1')
end
return {
  redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1]),
  redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, ARGV[1]),
}
