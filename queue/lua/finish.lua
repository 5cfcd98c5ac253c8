-- Ends tasks of one lane or returns them to the queue: for the holder of a token, or for the sweep ('*' as token). The only
-- script that ends a task. After that it claims tasks for the same worker (claim.lua).
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 data  6 users  7 meta  8 wake  9 ahead  10 replies  11 dead, then
--         per task: status:<id>  result:<id>
-- ARGV    1 number of tasks  2 seconds results are kept  3 crashes allowed  4 dead letters kept  5 prefix of notice
--         channels  6 tasks to claim and start now  7 tasks to read ahead  8 lease ms  9 worker  10 whether this is a
--         Cluster (0 | 1), then per task: id  token  op  result JSON  retry in ms (-1: not at all)  channel of
--         the process that waits for it ('' if the caller does not know it)
--         op: done | fail | requeue (with a token), lost | expired (with '*'), cancel (with either)
-- RETURNS per task: completed | failed | timeout | cancelled | RETRY | REQUEUED | SIGNALLED (cancellation requested), and
--         when nothing changed: STALE (another token has the lease), GONE (already ended), NOTDUE; then what `claim`
--         returns, when tasks are claimed
-- ATOMIC  After the token was compared, result, status, removal from every index and the outbox entry are one step. A task
--         that returns to the queue gets a new token, so the old one is void.
-- One removal per index and call, not per task, which makes a batch cheap.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local count = tonumber(ARGV[1])
local ids = {}
for n = 1, count do ids[n] = ARGV[5 + n * 6] end
local stored = count > 0 and redis.call('HMGET', KEYS[5], unpack(ids)) or {}
-- After an outage no lease ends before `grace`, and no deadline passes before `not_before` (sweep.lua).
local cfg = redis.call('HMGET', KEYS[7], 'paused', 'max_active', 'vtime', 'not_before', 'alive', 'interval', 'paced', 'grace')
local grace, not_before = tonumber(cfg[8] or '0'), tonumber(cfg[4] or '0')
local touched, gone, states, users, counters = {}, {}, {}, {}, {}

local function add(counter)
  counters[counter] = (counters[counter] or 0) + 1
end

local function remove_from_indexes(id)
  for _, index in ipairs({1, 2, 3, 4, 9}) do redis.call('ZREM', KEYS[index], id) end
end

-- Tells the process that waits for a task. A lost message does no harm: they look now and then.
local function tell_process(n, id, state, result)
  local process = ARGV[10 + n * 6]
  if process == '' and state ~= 'completed' then
    process = string.match(stored[n], '.*"done_channel"%s*:%s*"([^"\\]+)"') or ''
  end
  if process ~= '' and string.sub(process, 1, #ARGV[5]) == ARGV[5] then
    redis.pcall('PUBLISH', process, #result <= 4096 and id .. ' ' .. result or id)
  end
end

-- Tells those who listen to the own channel of a task that has ended.
local function tell_listeners()
  local channels = {}
  for i, id in ipairs(gone) do channels[i] = ARGV[5] .. id end
  local counts = {}
  -- A Cluster's server knows only its own listeners. A user who may not ask publishes every end.
  if ARGV[10] == '0' and redis.pcall('PUBSUB', 'NUMPAT') == 0 then
    counts = redis.pcall('PUBSUB', 'NUMSUB', unpack(channels))
  end
  for i, state in ipairs(states) do
    if counts[2 * i] ~= 0 then redis.pcall('PUBLISH', channels[i], state) end
  end
end

-- Takes a task from its worker. `died` is the worker that died while it held the task unstarted, if one did. `rest` is what
-- no step changes.
local function without_worker(id, held, died, deadline, fails, crashes, rest)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[9], id)
  redis.call('HSET', KEYS[5], id, string.format('%d', held + 1) .. '||' .. died .. '||' .. deadline .. '|' .. fails .. '|'
    .. crashes .. '|' .. rest)
end

local function back_to_queue(id, held, died, deadline, fails, crashes, rest)
  without_worker(id, held, died, deadline, fails, crashes, rest)
  redis.call('ZADD', KEYS[1], string.format('%d', (cfg[3] or 0) * 1048576), id)
  if redis.call('LLEN', KEYS[8]) < 64 then redis.call('RPUSH', KEYS[8], '1') end
end

local function finish(n)
  local a, k = 5 + n * 6, 10 + n * 2
  local id, token, op, result = ids[n], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  if touched[id] then return 'GONE' end
  if not stored[n] then
    -- The sweep found the id in an index.
    if token == '*' then remove_from_indexes(id) end
    return 'GONE'
  end
  -- Positions for what few tasks need: a copy of each task's JSON would cost as much as all the rest.
  local held, started, worker, cancel, deadline, fails, crashes, rest_at, wants, user, json_at =
    string.match(stored[n], '^(%d+)|([^|]*)|([^|]*)|([^|]*)|(%d+)|(%d+)|(%d+)|()([01])|([^|]*)|()')
  if not held then
    -- Not written by our scripts: remove it from every index.
    remove_from_indexes(id)
    redis.call('HDEL', KEYS[5], id)
    return 'GONE'
  end
  if tonumber(deadline) < not_before then deadline = cfg[4] end
  if token ~= '*' then
    if held ~= token then
      add('stale')
      return 'STALE'
    end
  elseif op == 'lost' then
    -- At the deadline the lease ends too; then the sweep calls with 'expired'.
    local lease = redis.call('ZSCORE', KEYS[started == '' and 9 or 2], id)
    if not lease or now < math.max(tonumber(lease), grace) or tonumber(deadline) <= now then return 'NOTDUE' end
  elseif op == 'expired' then
    if now < tonumber(deadline) then return 'NOTDUE' end
  elseif op == 'cancel' and started ~= '' then
    redis.call('HSET', KEYS[5], id, held .. '|' .. started .. '|' .. worker .. '|1|' .. deadline .. '|' .. fails .. '|'
      .. crashes .. '|' .. string.sub(stored[n], rest_at))
    return 'SIGNALLED'
  end
  touched[id] = true

  -- Its cancellation was requested while it ran: it does not run again.
  if cancel ~= '' and (op == 'requeue' or op == 'lost' or (op == 'fail' and ARGV[a + 4] ~= '-1')) then
    op = 'cancel'
  end
  local state = 'completed'
  if op == 'requeue' then
    back_to_queue(id, held, '', deadline, fails, crashes, string.sub(stored[n], rest_at))
    return 'REQUEUED'
  elseif op == 'fail' then
    fails = string.format('%d', fails + 1)
    local delay = tonumber(ARGV[a + 4])
    if 0 <= delay and now + delay < tonumber(deadline) then
      without_worker(id, held, '', deadline, fails, crashes, string.sub(stored[n], rest_at))
      redis.call('ZADD', KEYS[3], string.format('%d', now + delay), id)
      redis.call('SET', KEYS[k], 'retrying', 'PX', string.format('%d', math.max(deadline - now + 60000, 300000)))
      add('retried')
      return 'RETRY'
    end
    state = 'failed'
  elseif op == 'lost' and started == '' then
    -- It did not run, so it is not a crash.
    back_to_queue(id, held, worker, deadline, fails, crashes, string.sub(stored[n], rest_at))
    return 'REQUEUED'
  elseif op == 'lost' then
    crashes = string.format('%d', crashes + 1)
    add('lost')
    if tonumber(crashes) <= tonumber(ARGV[3]) then
      back_to_queue(id, held, '', deadline, fails, crashes, string.sub(stored[n], rest_at))
      return 'REQUEUED'
    end
    state = 'failed'
  elseif op == 'expired' then
    state = 'timeout'
  elseif op == 'cancel' then
    state = 'cancelled'
  end

  gone[#gone + 1] = id
  states[#gone] = state
  users[user] = (users[user] or 0) + 1
  if token == '*' then
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[3], id)
  end
  redis.call('SET', KEYS[k], state, 'EX', ARGV[2])
  redis.call('SET', KEYS[k + 1], result, 'EX', ARGV[2])
  if state == 'failed' then
    redis.call('XADD', KEYS[11], 'MAXLEN', '~', ARGV[4], '*', 'task', string.sub(stored[n], json_at), 'result', result,
      'failures', fails, 'crashes', crashes, 'worker', worker)
    add('dead')
  end
  if wants == '1' then
    redis.call('XADD', KEYS[10], '*', 'state', state, 'task', string.sub(stored[n], json_at), 'result', result)
  end
  tell_process(n, id, state, result)
  add(state)
  return state
end

local out = {}
for n = 1, count do out[n] = finish(n) end
if #gone > 0 then
  tell_listeners()
  redis.call('ZREM', KEYS[2], unpack(gone))
  redis.call('ZREM', KEYS[9], unpack(gone))
  redis.call('ZREM', KEYS[4], unpack(gone))
  redis.call('HDEL', KEYS[5], unpack(gone))
  local names, changed, idle = {}, {}, {}
  for user in pairs(users) do names[#names + 1] = user end
  local entries = redis.call('HMGET', KEYS[6], unpack(names))
  for i, user in ipairs(names) do
    local finish, live = string.match(entries[i] or '', '^(%d+)|(%d+)$')
    if finish and tonumber(live) > users[user] then
      changed[#changed + 1] = user
      changed[#changed + 1] = finish .. '|' .. string.format('%d', live - users[user])
    else
      idle[#idle + 1] = user
    end
  end
  if #changed > 0 then redis.call('HSET', KEYS[6], unpack(changed)) end
  if #idle > 0 then redis.call('HDEL', KEYS[6], unpack(idle)) end
end
for counter, n in pairs(counters) do redis.call('HINCRBY', KEYS[7], counter, n) end
-- With a limit, every worker may use the slot that is free now.
if cfg[2] and count > 0 and redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[8]) == 0 then
  redis.call('RPUSH', KEYS[8], '1')
end
local room, ahead = tonumber(ARGV[6]), tonumber(ARGV[7])
if room + ahead > 0 then
  for _, value in ipairs(claim(cfg, now, room, ahead, ARGV[8], ARGV[9])) do out[#out + 1] = value end
end
return out
