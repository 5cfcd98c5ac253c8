#!lua
-- Changes nothing, but counts as a write: a server that refuses writes refuses it.
-- KEYS    1 a key on the server that is probed
-- ARGV    commands that the user must be permitted to run
-- RETURNS 1
-- ATOMIC  Writes nothing.
for _, name in ipairs(ARGV) do
  -- Enough arguments for every command, because the server looks for keys among them.
  if not redis.acl_check_cmd(name, KEYS[1], KEYS[1], KEYS[1], KEYS[1]) then
    return redis.error_reply("NOPERM this user may not run '" .. name .. "' on '" .. KEYS[1] .. "'")
  end
end
return 1
