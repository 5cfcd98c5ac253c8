#!lua flags=allow-oom
-- Notes that a change of a message is not on its way any more.
-- KEYS    1 what the message shows
-- ARGV    1 its token
-- RETURNS 1 when it was on its way
-- ATOMIC  Changes of others that are on their way stay noted.
local known = redis.call('GET', KEYS[1])
if not known then return 0 end
local left, found = {string.match(known, '^%d+') or '0'}, 0
for one, token in string.gmatch(known, '((%x+):%d+:%d+)') do
  if token == ARGV[1] then found = 1 else left[#left + 1] = one end
end
if found == 1 then redis.call('SET', KEYS[1], table.concat(left, ' '), 'KEEPTTL') end
return found
