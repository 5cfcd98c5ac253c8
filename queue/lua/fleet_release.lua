#!lua
-- Lets artefacts expire that no record needs, unless the state has changed since it was read.
-- KEYS    1 revision  then the artefacts
-- ARGV    1 revision that was read  2 ms until they expire
-- RETURNS the number of artefacts, or -1 when the state has changed
-- ATOMIC  A record that names one of them changes the revision.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return -1 end
local released = 0
for i = 2, #KEYS do
  if redis.call('PTTL', KEYS[i]) == -1 then released = released + redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
end
return released
