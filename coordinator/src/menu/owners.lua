#!lua flags=allow-oom
-- Notes which plugins have which chat commands. One step: two coordinators never give a command to two plugins.
--
-- KEYS 1 commands: HASH command -> `seconds when its plugin was last seen with it|plugin`
-- ARGV 1 seconds for which an owner that is away keeps a command, then for each command three: its name, the plugin that
--      asks for it (empty: nobody does), and the plugin that is known to bring it no more (or empty)
-- RETURNS for each command its owner, empty where there is none
local keep = tonumber(ARGV[1])
local now = tonumber(redis.call('TIME')[1])
local owners = {}
for place = 2, #ARGV, 3 do
    local command, asking, gone = ARGV[place], ARGV[place + 1], ARGV[place + 2]
    local noted = redis.call('HGET', KEYS[1], command)
    local seen, owner = string.match(noted or '', '^(%d+)|(.*)$')
    local free = not owner or owner == asking or owner == gone or tonumber(seen) + keep <= now
    if not free then
        owners[#owners + 1] = owner
    elseif asking == '' then
        redis.call('HDEL', KEYS[1], command)
        owners[#owners + 1] = ''
    else
        redis.call('HSET', KEYS[1], command, string.format('%d|%s', now, asking))
        owners[#owners + 1] = asking
    end
end
redis.call('PEXPIRE', KEYS[1], keep * 1000)
return owners
