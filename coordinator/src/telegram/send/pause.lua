#!lua flags=allow-oom
-- Notes for all coordinators that Telegram asked to wait.
-- KEYS    1 pause  2 pause of the chat  3 flooded
-- ARGV    1 ms to wait  2 the chat  3 ms within which two chats count as all
-- RETURNS 1 when the bot as a whole pauses
-- ATOMIC  A pause never gets shorter.
local time = redis.call('TIME')
local till = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])

local function extend(key)
  if (tonumber(redis.call('GET', key) or '') or 0) < till then
    redis.call('SET', key, string.format('%.0f', till), 'PX', ARGV[1])
  end
end

extend(KEYS[2])
local other = redis.call('GET', KEYS[3])
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
if not other or other == ARGV[2] then return 0 end
extend(KEYS[1])
return 1
