#!lua flags=allow-oom
-- Records the message that a task's answer replaces, unless one is recorded already.
-- KEYS    1 reply:<id>  2 placeholder:<id>
-- ARGV    1 message  2 seconds the record is kept
-- RETURNS {delivery state or false, the recorded message}
-- ATOMIC  Write and read are one step. A failover between two steps could lose the record. The caller would then take its
--         own message for a duplicate and remove it, although the message may already show the answer.
redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2])
return redis.call('MGET', KEYS[1], KEYS[2])
