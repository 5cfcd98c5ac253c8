#!lua flags=allow-oom
-- Takes one message, or an album of several, from the rate limits if they allow it. An edit is begun in the same step,
-- unless a newer edit of the message was begun, so that no other edit comes between this step and the call.
-- KEYS    1 sent  2 pause  3 sent to the chat  4 pause of the chat  5 gone  6 moved  7 edits of the message (for an edit)
-- ARGV    1 messages  2 number of rules for all, then each rule, then the chat's rules; a rule is three numbers: messages
--         that a span may hold with these, messages that it may hold at most, the span in ms. For an edit the last five
--         are: its rank  its token  ms that it is in flight at most  1 when it does not wait for others  ms to remember it
-- RETURNS {'go'}, {'begun', 1 when an older edit is in flight too}, {'busy'}, {'late', the newer rank},
--         {'wait', ms, 'all' or 'chat'}, {'gone'} or {'moved', the new id}
-- ATOMIC  The limits of the bot and of the chat are both used, or neither; an edit is begun when the limits allow it and
--         no newer one was begun.
local known = redis.call('MGET', unpack(KEYS))
if known[6] then return {'moved', known[6]} end
if known[5] then return {'gone'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local messages = tonumber(ARGV[1])
local rules_end = #ARGV

-- An edit: the newest rank that was begun, then `token:rank:until` of each that may still arrive.
local rank, newest, on_their_way, older = nil, 0, {}, false
if KEYS[7] then
  rules_end = #ARGV - 5
  rank = tonumber(ARGV[rules_end + 1])
  newest = tonumber(string.match(known[7] or '', '^%d+') or '0')
  if rank < newest then return {'late', string.format('%.0f', newest)} end
  for one, of, till in string.gmatch(known[7] or '', '(%x+:(%d+):(%d+))') do
    -- A note from a clock that was ahead counts for nothing.
    if now < tonumber(till) and tonumber(till) < now + 60000 then
      on_their_way[#on_their_way + 1] = one
      -- Another attempt at the same change says the same.
      if tonumber(of) ~= rank then older = true end
    end
  end
  if older and ARGV[rules_end + 4] ~= '1' then return {'busy'} end
end

local function pause(till)
  return math.max((tonumber(till or '') or 0) - now, 0)
end

local function times(log)
  local list = {}
  for at in string.gmatch(log or '', '%d+') do list[#list + 1] = tonumber(at) end
  return list
end

-- How long until each rule has room, and what the log has to keep for how long.
local function look(list, from, to)
  local wait, keep, span = 0, 0, 0
  for place = from, to, 3 do
    local room, most, within = tonumber(ARGV[place]), tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
    -- What is more than may ever go at once needs a span of its own.
    local nth = list[room - math.min(messages, room) + 1]
    -- A log from a clock that was ahead holds up for one span, not longer.
    if nth and now < nth + within then wait = math.max(wait, math.min(nth + within - now, within)) end
    keep, span = math.max(keep, most), math.max(span, within)
  end
  return wait, keep, span
end

local function note(key, list, keep, span)
  if keep == 0 then return end
  local text = {}
  for place = 1, math.min(keep, #list + messages) do
    text[place] = string.format('%.0f', list[place - messages] or now)
  end
  redis.call('SET', key, table.concat(text, ' '), 'PX', span)
end

local last = 2 + 3 * tonumber(ARGV[2])
local all, chat = times(known[1]), times(known[3])
local wait_all, keep_all, span_all = look(all, 3, last)
local wait_chat, keep_chat, span_chat = look(chat, last + 1, rules_end)
wait_all = math.max(wait_all, pause(known[2]))
wait_chat = math.max(wait_chat, pause(known[4]))
if wait_all < wait_chat then return {'wait', string.format('%.0f', wait_chat), 'chat'} end
if 0 < wait_all then return {'wait', string.format('%.0f', wait_all), 'all'} end
note(KEYS[1], all, keep_all, span_all)
note(KEYS[3], chat, keep_chat, span_chat)
if not rank then return {'go'} end
local till = now + tonumber(ARGV[rules_end + 3])
on_their_way[#on_their_way + 1] = string.format('%s:%.0f:%.0f', ARGV[rules_end + 2], rank, till)
local shows = string.format('%.0f %s', rank, table.concat(on_their_way, ' '))
redis.call('SET', KEYS[7], shows, 'PX', ARGV[rules_end + 5])
return {'begun', older and '1' or '0'}
