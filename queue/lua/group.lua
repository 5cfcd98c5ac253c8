#!lua flags=allow-oom
-- Creates the outbox's consumer group, beginning with the first entry, so that answers from before the first coordinator
-- are delivered too.
-- KEYS    1 replies
-- ARGV    1 group
-- RETURNS OK, or an error that begins with BUSYGROUP when the group exists
-- ATOMIC  One command. Runs on a full server too: without the group no answer leaves the outbox.
return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
