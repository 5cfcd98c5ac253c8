#!lua flags=allow-oom
-- Removes an answer from the outbox.
-- KEYS    1 replies  2 reply:<id>  3 meta
-- ARGV    1 entry  2 group  3 seconds the delivery state is kept  4 counter
-- RETURNS 1 when it was removed, 0 when another coordinator had removed it
-- ATOMIC  The delivery state becomes `delivered`, and the entry is removed and counted once.
redis.call('SET', KEYS[2], 'delivered', 'EX', ARGV[3])
redis.call('XACK', KEYS[1], ARGV[2], ARGV[1])
local removed = redis.call('XDEL', KEYS[1], ARGV[1])
if removed == 1 then redis.call('HINCRBY', KEYS[3], ARGV[4], '1') end
return removed
