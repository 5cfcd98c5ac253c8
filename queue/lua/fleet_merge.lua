#!lua
-- Puts records back that Redis has lost. Of two records of one era the higher number wins; of two eras, the stored one: it
-- was pushed after the loss.
-- KEYS    1 revision  2 state  then per record: history  artefact  the canary's artefact, or the same
-- ARGV    1 revision that was read, or ''  2 new era  3 era that the caller knew  4 number that it knew
--         5 entries kept in the history  then per record: name  record
-- RETURNS {'done', revision, records put back} | {'changed', revision, 0}
-- ATOMIC  Two callers at once: the second is told that the revision has changed.
local stored = redis.call('GET', KEYS[1]) or ''
local era, number = string.match(stored, '^(%w+):(%d+)$')
if not era then stored = '' end
if stored ~= ARGV[1] then return {'changed', stored, 0} end
number = tonumber(number or '0')
local known = tonumber(ARGV[4])
local back = 0
for i = 6, #ARGV, 2 do
  local mine_era, mine = string.match(ARGV[i + 1], '^([^|]*)|(%d+)|')
  local theirs = redis.call('HGET', KEYS[2], ARGV[i])
  local wins = mine_era and true
  if mine_era and theirs then
    local their_era, their = string.match(theirs, '^([^|]*)|(%d+)|')
    wins = not their_era or (their_era == mine_era and tonumber(mine) > tonumber(their))
  end
  local history = (i - 6) / 2 * 3 + 3
  if wins then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
    redis.call('RPUSH', KEYS[history], ARGV[i + 1])
    redis.call('LTRIM', KEYS[history], -tonumber(ARGV[5]), -1)
    back = back + 1
  end
  if wins or theirs == ARGV[i + 1] then
    redis.call('PERSIST', KEYS[history + 1])
    redis.call('PERSIST', KEYS[history + 2])
  end
end
-- A new era tells the other workers to compare as well.
local is_behind = not era or (era == ARGV[3] and number < known)
if is_behind then
  era = ARGV[2]
  number = math.max(number, known)
end
if is_behind or back > 0 then
  stored = era .. ':' .. string.format('%d', number + 1)
  redis.call('SET', KEYS[1], stored)
end
return {'done', stored, back}
