#!lua
-- Appends to the history of finished tasks. A full server refuses the call as a whole.
-- KEYS    1 ended  2 steps  3 forgotten  4 a minute's counts  5 an hour's counts
-- ARGV    1 about how many ended tasks are kept  2 about how many steps  3 number of ended tasks  4 number of steps  5 ms the
--         minute's counts are kept  6 ms the hour's are kept  7 ms an entry is kept, then per ended task and step: user  time
--         of its submit in ms  entry; then field and number of each count
-- RETURNS how many entries were left out, because the person's data was deleted after the submit
-- ATOMIC  Nothing depends on it.
local ended, steps = tonumber(ARGV[3]), tonumber(ARGV[4])
local forgotten = redis.call('EXISTS', KEYS[3]) == 1
local left_out = 0
for n = 1, ended + steps do
  local a = 5 + n * 3
  local gone = forgotten and redis.call('ZSCORE', KEYS[3], ARGV[a])
  if gone and tonumber(ARGV[a + 1]) <= tonumber(gone) then
    left_out = left_out + 1
  elseif n <= ended then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[a + 2])
  else
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[a + 2])
  end
end
-- What nobody writes to any more goes as a whole.
if ended > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[7]) end
if steps > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[7]) end
local first = 8 + (ended + steps) * 3
-- Many processes with other types each would make them large without end.
local most = 20000
for n = 4, 5 do
  local size = first < #ARGV and redis.call('HLEN', KEYS[n]) or 0
  for a = first, #ARGV, 2 do
    if size < most or redis.call('HEXISTS', KEYS[n], ARGV[a]) == 1 then
      redis.call('HINCRBY', KEYS[n], ARGV[a], ARGV[a + 1])
    end
  end
end
if first < #ARGV then
  redis.call('PEXPIRE', KEYS[4], ARGV[5])
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
end
return left_out
