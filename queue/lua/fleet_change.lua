#!lua
-- Replaces the record of one plugin in the fleet's state, unless somebody has changed it since it was read.
-- KEYS    1 revision  2 state  3 history of the plugin  4 artefact (not for a removal, or when it is elsewhere)
-- ARGV    1 name  2 head of the record that was read, `era|number`, or ''  3 era for an empty state  4 digest
--         5 record as JSON  6 most names  7 entries kept in the history  8 pieces of the artefact
-- RETURNS {'done', revision} | {'changed', stored record or ''} | {'incomplete', ''} | {'full', ''}
-- ATOMIC  Revision, record and history change together, and only when the whole artefact is stored.
local stored = redis.call('HGET', KEYS[2], ARGV[1])
local head = ''
if stored then head = string.match(stored, '^([^|]*|[^|]*)|') or '' end
if head ~= ARGV[2] then return {'changed', stored or ''} end
if KEYS[4] and redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[8]) then return {'incomplete', ''} end
if not stored and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then return {'full', ''} end
local era, number = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+):(%d+)$')
if not era then era, number = ARGV[3], '0' end
number = string.format('%d', tonumber(number) + 1)
local record = era .. '|' .. number .. '|' .. ARGV[4] .. '|' .. ARGV[5]
redis.call('SET', KEYS[1], era .. ':' .. number)
redis.call('HSET', KEYS[2], ARGV[1], record)
redis.call('RPUSH', KEYS[3], record)
redis.call('LTRIM', KEYS[3], -tonumber(ARGV[7]), -1)
if KEYS[4] then redis.call('PERSIST', KEYS[4]) end
return {'done', era .. ':' .. number}
