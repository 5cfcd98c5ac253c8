#!lua flags=allow-oom
-- Notes that an edit of a message is no longer in flight.
-- KEYS    1 edits of the message
-- ARGV    1 its token
-- RETURNS 1 when it was in flight
-- ATOMIC  Other edits in flight stay noted.
local known = redis.call('GET', KEYS[1])
if not known then return 0 end
local left, found = {string.match(known, '^%d+') or '0'}, 0
for one, token in string.gmatch(known, '((%x+):%d+:%d+)') do
  if token == ARGV[1] then found = 1 else left[#left + 1] = one end
end
if found == 1 then redis.call('SET', KEYS[1], table.concat(left, ' '), 'KEEPTTL') end
return found
