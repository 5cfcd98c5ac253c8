-- Moves tasks of one type out of `active`, or for the sweeper ('*' as token) out of anywhere. The only script that
-- ends a task.
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 data  6 users  7 meta  8 wake  9 replies  10 dead, then per
--         task: status:<id>  result:<id>
-- ARGV    1 number of tasks  2 seconds results are kept  3 crashes allowed  4 dead letters kept  5 notice channel
--         prefix, then per task: id  token  op  result JSON  retry in ms (-1: not at all)
--         op: done | fail | requeue (with a token), lost | expired (with '*'), cancel (with either)
-- RETURNS per task: completed | failed | timeout | cancelled | RETRY | REQUEUED | SIGNALLED, and for what was not
--         done: STALE (the lease is another's), GONE (already ended), NOTDUE
-- ATOMIC  Result, status, removal from every index and the outbox entry happen together, after the token was
--         compared.
-- One removal per index and call, not per task: that is what makes a batch cheap.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local count = tonumber(ARGV[1])
local ids, fields = {}, {}
for n = 1, count do
  local id = ARGV[6 + (n - 1) * 5]
  ids[n] = id
  fields[2 * n - 1] = id
  fields[2 * n] = id .. '#m'
end
if count == 0 then return {} end
local stored = redis.call('HMGET', KEYS[5], unpack(fields))
local leases = redis.call('ZMSCORE', KEYS[2], unpack(ids))
local ended, gone, users, counters = {}, {}, {}, {}

local function add(counter)
  counters[counter] = (counters[counter] or 0) + 1
end

local function finish(n)
  local a, k = 6 + (n - 1) * 5, 11 + (n - 1) * 2
  local id, token, op, result = ids[n], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local envelope, meta, lease = stored[2 * n - 1], stored[2 * n], leases[n]
  if not envelope or not meta or ended[id] then return 'GONE' end
  local claims, fails, crashes, wants, worker, user =
    string.match(meta, '^(%d+)|(%d+)|(%d+)|([01])|([^|]*)|(.*)$')
  if not claims then return 'GONE' end
  if token ~= '*' then
    if not lease or claims ~= token then
      add('stale')
      return 'STALE'
    end
  elseif op == 'lost' then
    if not lease or now < tonumber(lease) then return 'NOTDUE' end
    -- The lease also ends at the deadline; the sweeper then calls again with 'expired'.
    if tonumber(redis.call('ZSCORE', KEYS[4], id) or '0') <= now then return 'NOTDUE' end
  elseif op == 'expired' then
    if now < tonumber(redis.call('ZSCORE', KEYS[4], id) or '0') then return 'NOTDUE' end
  elseif op == 'cancel' and lease then
    redis.call('HSET', KEYS[5], id .. '#c', '1')
    return 'SIGNALLED'
  end

  local function without_worker()
    ended[id] = true
    redis.call('ZREM', KEYS[2], id)
    redis.call('HSET', KEYS[5], id .. '#m', claims .. '|' .. fails .. '|' .. crashes .. '|' .. wants .. '||' .. user)
  end

  local function back_to_queue()
    without_worker()
    redis.call('ZADD', KEYS[1], redis.call('HGET', KEYS[7], 'vtime') or '0', id)
    if redis.call('LLEN', KEYS[8]) < 64 then redis.call('RPUSH', KEYS[8], '1') end
  end

  local state = 'completed'
  if op == 'requeue' then
    back_to_queue()
    return 'REQUEUED'
  elseif op == 'fail' then
    fails = string.format('%d', fails + 1)
    local delay = tonumber(ARGV[a + 4])
    if 0 <= delay then
      local deadline = tonumber(redis.call('ZSCORE', KEYS[4], id) or '0')
      if now + delay < deadline then
        without_worker()
        redis.call('ZADD', KEYS[3], now + delay, id)
        redis.call('SET', KEYS[k], 'retrying', 'PX', math.max(deadline - now + 60000, 300000))
        add('retried')
        return 'RETRY'
      end
    end
    state = 'failed'
  elseif op == 'lost' then
    crashes = string.format('%d', crashes + 1)
    add('lost')
    if tonumber(crashes) <= tonumber(ARGV[3]) then
      back_to_queue()
      return 'REQUEUED'
    end
    state = 'failed'
  elseif op == 'expired' then
    state = 'timeout'
  elseif op == 'cancel' then
    state = 'cancelled'
  end

  ended[id] = true
  gone[#gone + 1] = id
  users[user] = (users[user] or 0) + 1
  if token == '*' then
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[3], id)
  end
  redis.call('SET', KEYS[k], state, 'EX', ARGV[2])
  redis.call('SET', KEYS[k + 1], result, 'EX', ARGV[2])
  if state == 'failed' then
    redis.call('XADD', KEYS[10], 'MAXLEN', '~', ARGV[4], '*', 'id', id, 'op', op, 'task', envelope, 'result', result,
      'failures', fails, 'crashes', crashes, 'worker', worker)
    add('dead')
  end
  if wants == '1' then
    redis.call('XADD', KEYS[9], '*', 'id', id, 'state', state, 'task', envelope, 'result', result)
  else
    -- Somebody may be waiting; whoever gets a reply needs no notice.
    redis.call('PUBLISH', ARGV[5] .. id, state)
  end
  add(state)
  return state
end

local out = {}
for n = 1, count do out[n] = finish(n) end
if #gone > 0 then
  redis.call('ZREM', KEYS[2], unpack(gone))
  redis.call('ZREM', KEYS[4], unpack(gone))
  local drop = {}
  for _, id in ipairs(gone) do
    drop[#drop + 1] = id
    drop[#drop + 1] = id .. '#m'
    drop[#drop + 1] = id .. '#c'
  end
  redis.call('HDEL', KEYS[5], unpack(drop))
  for user, n in pairs(users) do
    local finish, live = string.match(redis.call('HGET', KEYS[6], user) or '', '^(%d+)|(%d+)$')
    if finish and tonumber(live) > n then
      redis.call('HSET', KEYS[6], user, finish .. '|' .. string.format('%d', live - n))
    elseif finish then
      redis.call('HDEL', KEYS[6], user)
    end
  end
end
for counter, n in pairs(counters) do redis.call('HINCRBY', KEYS[7], counter, n) end
return out
