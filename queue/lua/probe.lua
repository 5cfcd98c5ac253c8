#!lua
-- Changes nothing. It counts as a write, so a server that refuses writes refuses this.
-- KEYS    1 a key on the server that is asked
-- ARGV    names of commands that the user has to be allowed
-- RETURNS 1
-- ATOMIC  Nothing is written.
for _, name in ipairs(ARGV) do
  -- Enough arguments for every command: the server looks for its keys among them.
  if not redis.acl_check_cmd(name, KEYS[1], KEYS[1], KEYS[1], KEYS[1]) then
    return redis.error_reply("NOPERM this user may not run '" .. name .. "' on '" .. KEYS[1] .. "'")
  end
end
return 1
