-- Gives a permit if one is free.
local id, most = ARGV[1], tonumber(ARGV[2])
local window, counts_for = tonumber(ARGV[3]), tonumber(ARGV[4])
local seen = ARGV[5]

-- Whether permits of before this run may be lost, and since when the run is noted:
-- - Another run was noted: a restart or a replica has what was written a while ago.
-- - None was noted, but the caller had an answer from here: what was noted then is gone.
-- - This one was noted by a caller that could not know, and this caller has seen another one, or
--   the note of another time: what was noted then is gone, though the server was not started again.
local run = run_id()
local noted = redis.call('HMGET', STATE, 'run', 'since', 'lost', 'held_until')
local since, lost = tonumber(noted[2]) or now, noted[3] == '1'
if run ~= '' and noted[1] ~= run then
  since, lost = now, noted[1] ~= false or seen ~= ''
  redis.call('HSET', STATE, 'run', run, 'since', text(since), 'lost', lost and '1' or '0')
elseif run ~= '' and seen ~= '' and not lost and (string.find(seen, run, 1, true) ~= 1
    or tonumber(noted[2]) and seen ~= run .. ' ' .. text(since)) then
  lost = true
  redis.call('HSET', STATE, 'lost', '1')
end
if lost and not tonumber(noted[2]) then
  -- It was damaged, or never noted. Counted from each look, the window would never end.
  redis.call('HSET', STATE, 'since', text(since))
end
local note = run ~= '' and run .. ' ' .. text(since) or ''
keep(STATE, LONG)
local held_until = tonumber(noted[4]) or 0
if lost then
  -- What was lost may have been of logins under way.
  held_until = math.max(held_until, since + math.max(window, counts_for))
end

drop_lapsed()
if redis.call('ZSCORE', GIVEN, id) then
  count(id, counts_for)
  return { 1, 0, note }
end
-- So many must lapse before one is free.
local over = redis.call('ZCARD', GIVEN) + 1 - most
if over > 0 then
  local last = redis.call('ZRANGE', GIVEN, over - 1, over - 1, 'WITHSCORES')
  held_until = math.max(held_until, tonumber(last[2]))
end
if now < held_until then
  return { 0, held_until - now, note }
end
count(id, counts_for)
return { 1, 0, note }
