#!lua flags=allow-oom
-- Makes the outbox's consumer group, from the first entry on: answers that were stored before any coordinator ran are
-- sent too.
-- KEYS    1 replies
-- ARGV    1 group
-- RETURNS OK, or an error that begins with BUSYGROUP when it is there
-- ATOMIC  One command. A full server takes it: without the group no answer leaves the outbox.
return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
