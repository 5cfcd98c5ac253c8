#!lua flags=allow-oom
-- Trims the history of finished tasks by age, and frees its memory when the server is nearly full.
-- KEYS    1 ended  2 steps
-- ARGV    1 ms an entry is kept  2 percent of the server's memory from which half of the history is dropped
-- RETURNS percent of the server's memory limit that are used; 0 without a limit
-- ATOMIC  Nothing depends on it.
local t = redis.call('TIME')
local oldest = string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000) - tonumber(ARGV[1]))
local info = redis.call('INFO', 'memory')
local used = tonumber(string.match(info, 'used_memory:(%d+)') or '0')
local limit = tonumber(string.match(info, 'maxmemory:(%d+)') or '0')
local percent = 0
if limit > 0 then percent = math.floor(used * 100 / limit) end
for n = 1, 2 do
  redis.call('XTRIM', KEYS[n], 'MINID', oldest)
  if percent >= tonumber(ARGV[2]) then
    redis.call('XTRIM', KEYS[n], 'MAXLEN', '~', string.format('%d', math.floor(redis.call('XLEN', KEYS[n]) / 2)))
  end
end
return percent
