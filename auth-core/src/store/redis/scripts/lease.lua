-- Looks, takes the lease if it is free and needed, and looks again.
local owner, lasts = ARGV[4], tonumber(ARGV[5])
local known = ARGV[6] == '1' and version(ARGV[7], ARGV[8], ARGV[9]) or nil
local rejected, only_extends = ARGV[10] == '1', ARGV[11] == '1'

local epoch = begin(ARGV[3])
note_run()
local entry = read()
if known and rejected and is_same_session(known, entry.version)
    and not is_newer(entry.version, known) and not entry.over then
  redis.call('HSET', STATE, 'over', '1')
  entry.over = true
  publish()
end

-- The time that the lease of another lasts, or nil once `owner` has the lease.
local function take()
  local found = redis.call('HMGET', STATE, 'lease.owner', 'lease.until', 'lease.lasts')
  local is_ours = found[1] == owner
  local left = found[1] and (number(found[2]) or now) - now or 0
  if not is_ours and left > 0 then
    -- Where more is left than was asked for, the clock of the server was set back. Its owner may be
    -- at its login still.
    local most = tonumber(number(found[3])) or left
    if left > most then
      left = most
      redis.call('HSET', STATE, 'lease.until', text(now + left))
    end
    return left
  end
  if not is_ours or last_fence() == '0' then
    -- A replica that takes over may have missed the last fences. The time is beyond them.
    local before = fence_before_run() or 0
    redis.call('HSET', STATE, 'lease.fence', text(math.max(last_fence() + 1, before + 1, now)))
  end
  redis.call('HSET', STATE, 'lease.owner', owner, 'lease.until', text(now + lasts),
    'lease.lasts', text(lasts))
  keep(STATE, lasts + LONG)
  return nil
end

local answer, told
local has_it = redis.call('HGET', STATE, 'lease.owner') == owner
local is_needed = not entry.session or entry.over
  or (known and not is_newer(entry.version, known))
if not has_it and (only_extends or not is_needed) then
  answer, told = 'not needed', '0'
else
  local left = take()
  if left then
    answer, told = 'held', text(left)
  else
    answer, told = 'taken', last_fence()
  end
end
return { answer, told, epoch, reply(entry) }
