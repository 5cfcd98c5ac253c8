#!lua flags=no-writes
-- Reads the fleet's state.
-- KEYS    1 revision  2 state
-- RETURNS {revision or '', name, record, …}
-- ATOMIC  The revision is that of the records.
local out = redis.call('HGETALL', KEYS[2])
table.insert(out, 1, redis.call('GET', KEYS[1]) or '')
return out
