#!lua flags=allow-oom
-- Notes the message that a task's answer replaces, unless one is noted already.
-- KEYS    1 reply:<id>  2 placeholder:<id>
-- ARGV    1 message  2 seconds the ledger is kept
-- RETURNS {delivery state or false, the message that counts}
-- ATOMIC  What is returned is what stands there now: with two steps a failover in between could lose the note, and
--         whoever asked would take its own message, which may show the answer already, for one too many.
redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2])
return redis.call('MGET', KEYS[1], KEYS[2])
