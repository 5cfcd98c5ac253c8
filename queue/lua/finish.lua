-- Moves tasks of one type out of `active`, or for the sweeper ('*' as token) out of anywhere. The only script that
-- ends a task.
-- KEYS    1 queue  2 active  3 delayed  4 deadline  5 data  6 users  7 meta  8 wake  9 replies  10 dead, then per
--         task: status:<id>  result:<id>
-- ARGV    1 number of tasks  2 seconds results are kept  3 crashes allowed  4 dead letters kept  5 notice channel
--         prefix, then per task: id  token  op  result JSON  retry in ms (-1: not at all)
--         op: done | fail | requeue (with a token), lost | expired | cancel (with '*')
-- RETURNS per task: completed | failed | timeout | cancelled | RETRY | REQUEUED | SIGNALLED, and for what was not
--         done: STALE (the lease is another's), GONE (already ended), NOTDUE
-- ATOMIC  Result, status, removal from every index and the outbox entry happen together, after the token was
--         compared.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function finish(n)
  local a, k = 6 + (n - 1) * 5, 11 + (n - 1) * 2
  local id, token, op, result = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local e = redis.call('HMGET', KEYS[5], id, id .. '#m')
  if not e[1] or not e[2] then return 'GONE' end
  local claims, fails, crashes, wants, worker, user =
    string.match(e[2], '^(%d+)|(%d+)|(%d+)|([01])|([^|]*)|(.*)$')
  if not claims then return 'GONE' end
  local lease = redis.call('ZSCORE', KEYS[2], id)
  local deadline = tonumber(redis.call('ZSCORE', KEYS[4], id) or '0')
  if token ~= '*' then
    if not lease or claims ~= token then
      redis.call('HINCRBY', KEYS[7], 'stale', 1)
      return 'STALE'
    end
  elseif op == 'lost' then
    if not lease or now < tonumber(lease) then return 'NOTDUE' end
    -- The lease also ends at the deadline; the sweeper then calls again with 'expired'.
    if deadline <= now then return 'NOTDUE' end
  elseif op == 'expired' then
    if now < deadline then return 'NOTDUE' end
  elseif op == 'cancel' and lease then
    redis.call('HSET', KEYS[5], id .. '#c', '1')
    return 'SIGNALLED'
  end

  local function back_to_queue()
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZADD', KEYS[1], redis.call('HGET', KEYS[7], 'vtime') or '0', id)
    redis.call('HSET', KEYS[5], id .. '#m',
      claims .. '|' .. fails .. '|' .. crashes .. '|' .. wants .. '||' .. user)
    if redis.call('LLEN', KEYS[8]) < 64 then redis.call('RPUSH', KEYS[8], '1') end
  end

  local state = 'completed'
  if op == 'requeue' then
    back_to_queue()
    return 'REQUEUED'
  elseif op == 'fail' then
    fails = string.format('%d', tonumber(fails) + 1)
    local delay = tonumber(ARGV[a + 4])
    if 0 <= delay and now + delay < deadline then
      redis.call('ZREM', KEYS[2], id)
      redis.call('ZADD', KEYS[3], now + delay, id)
      redis.call('HSET', KEYS[5], id .. '#m',
        claims .. '|' .. fails .. '|' .. crashes .. '|' .. wants .. '||' .. user)
      redis.call('SET', KEYS[k], 'retrying', 'PX', math.max(deadline - now + 60000, 300000))
      redis.call('HINCRBY', KEYS[7], 'retried', 1)
      return 'RETRY'
    end
    state = 'failed'
  elseif op == 'lost' then
    crashes = string.format('%d', tonumber(crashes) + 1)
    redis.call('HINCRBY', KEYS[7], 'lost', 1)
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

  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  redis.call('HDEL', KEYS[5], id, id .. '#m', id .. '#c')
  if redis.call('HINCRBY', KEYS[6], user .. '#n', -1) <= 0 then
    redis.call('HDEL', KEYS[6], user .. '#n', user)
  end
  redis.call('SET', KEYS[k], state, 'EX', ARGV[2])
  redis.call('SET', KEYS[k + 1], result, 'EX', ARGV[2])
  if state == 'failed' then
    redis.call('XADD', KEYS[10], 'MAXLEN', '~', ARGV[4], '*', 'id', id, 'op', op, 'task', e[1], 'result', result,
      'failures', fails, 'crashes', crashes, 'worker', worker)
  end
  if wants == '1' then
    redis.call('XADD', KEYS[9], '*', 'id', id, 'state', state, 'task', e[1], 'result', result)
  end
  redis.call('PUBLISH', ARGV[5] .. id, state)
  redis.call('HINCRBY', KEYS[7], state, 1)
  return state
end

local out = {}
for n = 1, tonumber(ARGV[1]) do out[n] = finish(n) end
return out
