#!lua flags=allow-oom
-- Makes one small write, on a full server too: a heartbeat, a lease, a record.
-- KEYS    1 the command's key
-- ARGV    1 command, then its arguments after the key
-- RETURNS the command's reply
-- ATOMIC  One command.
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
