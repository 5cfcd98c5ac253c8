#!lua
-- Stores one piece of an artefact.
-- KEYS    1 artefact
-- ARGV    1 number of the piece  2 the piece  3 bytes of the whole artefact  4 percent of maxmemory that may be used
--         5 ms until an artefact without a record expires
-- RETURNS {'stored', 0, 0} | {'full', bytes used, maxmemory}
-- ATOMIC  The first piece is stored only when the whole artefact has room.
if ARGV[1] == '0' and redis.call('HLEN', KEYS[1]) == 0 then
  local memory = redis.call('INFO', 'memory')
  local used = tonumber(string.match(memory, 'used_memory:(%d+)') or '0')
  local most = tonumber(string.match(memory, 'maxmemory:(%d+)') or '0')
  if most > 0 and used + tonumber(ARGV[3]) > most / 100 * tonumber(ARGV[4]) then return {'full', used, most} end
end
local is_kept = redis.call('PTTL', KEYS[1]) == -1
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if not is_kept then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return {'stored', 0, 0}
