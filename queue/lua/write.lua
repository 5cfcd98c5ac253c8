#!lua flags=allow-oom
-- Makes one small write that a full server takes too: a sign of life, a lease, a note.
-- KEYS    1 its key
-- ARGV    1 command  then what follows the key
-- RETURNS what the command does
-- ATOMIC  One command.
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
