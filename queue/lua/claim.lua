-- Leases ready tasks of one type to a worker: the part that `claim` calls alone and `finish` calls last.
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 data  6 meta  7 wake  8 ahead
-- RETURNS whether more tasks wait ('0' | '1'), now in ms, then id, value, id, value, … where a value is what `data` holds
--         (keys.rs). The value of a task to start now has its time of claim; that of a task read ahead has none.
-- ATOMIC  A task leaves the queue and gets its lease and token in one step. A token is never given twice.
-- `cfg` holds paused, max_active, vtime, not_before and alive of `meta`.
local function claim(cfg, now, room, ahead, lease_ms, worker)
  local time = string.format('%d', now)
  local reply = {'0', time}
  if cfg[1] == '1' then return reply end
  local vtime = tonumber(cfg[3] or '0')
  local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', time, 'LIMIT', 0, 64)
  for _, id in ipairs(due) do
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZADD', KEYS[1], string.format('%d', vtime * 1048576), id)
  end
  -- A type with a limit is not read ahead: what waits in one worker could run in another.
  if cfg[2] then
    ahead = 0
    room = math.min(room, tonumber(cfg[2]) - redis.call('ZCARD', KEYS[2]))
  end
  if room + ahead <= 0 then return reply end
  local popped = redis.call('ZPOPMIN', KEYS[1], room + ahead)
  if #popped == 0 then return reply end
  local ids = {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  local stored = redis.call('HMGET', KEYS[5], unpack(ids))
  local tokens, rests, suspects = {}, {}, {}
  for i = 1, #ids do
    local former
    -- An id that was put into the queue by hand has no data. It is dropped here: there is nothing to run.
    if stored[i] then
      tokens[i], former, rests[i] = string.match(stored[i], '^(%d+)|[^|]*|([^|]*)|[^|]*|(%d.*)$')
    end
    -- A worker died with it in its read-ahead, perhaps because of it: now it starts at once, or waits for room.
    if former and former ~= '' then
      suspects[i] = 0 < room
      room = room - 1
    end
  end
  local longest = now + lease_ms
  local usual = string.format('%d', longest)
  local started, unstarted = '|' .. time .. '|' .. worker .. '||', '||' .. worker .. '||'
  -- After an outage a task's time has not run out before this.
  local not_before = tonumber(cfg[4] or '0')
  local active, waiting, later, back = {}, {}, {}, {}
  for i = 1, #ids do
    if suspects[i] == false then
      back[#back + 1] = popped[2 * i]
      back[#back + 1] = ids[i]
    elseif tokens[i] then
      local rest = rests[i]
      local deadline = tonumber(string.match(rest, '^%d+'))
      if deadline < not_before then
        deadline = not_before
        rest = string.gsub(rest, '^%d+', cfg[4], 1)
        later[#later + 1] = cfg[4]
        later[#later + 1] = ids[i]
      end
      local index, head = waiting, unstarted
      if suspects[i] or 0 < room then index, head = active, started end
      if not suspects[i] then room = room - 1 end
      index[#index + 1] = deadline < longest and string.format('%d', math.max(deadline, now + 1)) or usual
      index[#index + 1] = ids[i]
      reply[#reply + 1] = ids[i]
      reply[#reply + 1] = string.format('%d', tokens[i] + 1) .. head .. rest
    end
  end
  if #reply > 2 then
    redis.call('HSET', KEYS[5], unpack(reply, 3))
    if #active > 0 then redis.call('ZADD', KEYS[2], unpack(active)) end
    if #waiting > 0 then redis.call('ZADD', KEYS[8], unpack(waiting)) end
    if #later > 0 then redis.call('ZADD', KEYS[4], 'XX', unpack(later)) end
    -- The sweep renews it. From here on there is something that an outage could cost.
    if not cfg[5] then redis.call('HSET', KEYS[6], 'alive', time) end
  end
  if #back > 0 then redis.call('ZADD', KEYS[1], unpack(back)) end
  local highest = math.floor(tonumber(popped[#popped]) / 1048576)
  if highest > vtime then redis.call('HSET', KEYS[6], 'vtime', string.format('%d', highest)) end
  if redis.call('EXISTS', KEYS[1]) == 1 then
    reply[1] = '1'
    if redis.call('EXISTS', KEYS[7]) == 0 then redis.call('RPUSH', KEYS[7], '1') end
  end
  return reply
end
