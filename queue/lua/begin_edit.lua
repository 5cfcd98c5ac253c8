#!lua flags=allow-oom
-- Notes that a task's placeholder is being changed, unless the task has a result.
-- KEYS    1 result:<id>  2 editing:<id>
-- ARGV    1 ms that the note lasts at most
-- RETURNS 1 when it is noted
-- ATOMIC  Whoever reads a result finds the note of every change that was begun before it, and none is begun after.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return 1
