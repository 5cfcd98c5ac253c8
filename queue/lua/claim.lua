-- Leases ready tasks of one lane to a worker. Two scripts end with this function: `claim` alone, and `finish` after it has
-- ended tasks.
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 data  6 users  7 meta  8 wake  9 ahead
-- RETURNS whether more tasks wait: '0', '1', or after how many ms (2 and more) one may start; now in ms, then id, record, id, record, … (the value in `data`, see keys.rs).
--         The record of a task to start now has the time of its claim; that of a task read ahead has none.
-- ATOMIC  A task leaves the queue and gets its lease and token in one step. No token is given twice.
-- `cfg` has the fields paused, max_active, vtime, not_before, alive, interval and paced of `meta`. Up to `room` tasks start now, up to `ahead`
-- more are held by the worker until it has room.
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
  -- With a limit nothing is read ahead: a task that one worker holds could run in another.
  if cfg[2] then
    ahead = 0
    room = math.min(room, tonumber(cfg[2]) - redis.call('ZCARD', KEYS[2]))
  end
  -- A rate limit. `paced` is the time up to which the rate is used: one second's tasks, or one task, before the clock at most.
  local interval, paced = tonumber(cfg[6] or ''), 0
  if interval and not (interval > 0 and interval < 1e9) then interval = nil end
  local most = interval and now + math.max(interval, 1000)
  local function next_start() return string.format('%d', math.max(2, math.ceil(paced + interval - most))) end
  if interval then
    paced = math.max(now, math.min(most, tonumber(cfg[7] or '') or 0))
    local allowed = math.floor((most - paced) / interval + 0.000001)
    if allowed < 1 and redis.call('EXISTS', KEYS[1]) == 1 then reply[1] = next_start() end
    ahead = 0
    room = math.min(room, allowed)
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
    -- An id that was put into the queue by hand has no record. It is dropped: there is nothing to run.
    if stored[i] then
      tokens[i], former, rests[i] = string.match(stored[i], '^(%d+)|[^|]*|([^|]*)|[^|]*|(%d.*)$')
    end
    -- A worker died while it held this task unstarted, perhaps because of it. It is not read ahead again.
    if former and former ~= '' then
      suspects[i] = room > 0
      room = room - 1
    end
  end
  local longest = now + lease_ms
  local usual = string.format('%d', longest)
  local started, unstarted = '|' .. time .. '|' .. worker .. '||', '||' .. worker .. '||'
  -- After an outage no deadline passes before this time (sweep.lua).
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
      if suspects[i] or room > 0 then index, head = active, started end
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
    if #waiting > 0 then redis.call('ZADD', KEYS[9], unpack(waiting)) end
    if #later > 0 then redis.call('ZADD', KEYS[4], 'XX', unpack(later)) end
    -- From now on an outage could cost a lease. The sweep renews this time.
    if not cfg[5] then redis.call('HSET', KEYS[7], 'alive', time) end
  end
  if interval and #active > 0 then
    paced = paced + interval * #active / 2
    redis.call('HSET', KEYS[7], 'paced', string.format('%.3f', paced))
  end
  if #back > 0 then redis.call('ZADD', KEYS[1], unpack(back)) end
  local highest = math.floor(tonumber(popped[#popped]) / 1048576)
  if highest > vtime then redis.call('HSET', KEYS[7], 'vtime', string.format('%d', highest)) end
  if redis.call('EXISTS', KEYS[1]) == 1 then
    if interval and paced + interval > most then
      reply[1] = next_start()
      return reply
    end
    reply[1] = '1'
    if redis.call('EXISTS', KEYS[8]) == 0 then redis.call('RPUSH', KEYS[8], '1') end
  end
  return reply
end
