-- Makes a change if the rule allows it (`Change::allowed`), and releases the lease in any case.
local is_again, releases = ARGV[4] == '1', ARGV[5]
local ours, next_revision = version(ARGV[6], ARGV[7], ARGV[8]), ARGV[9]
local session = { change = ARGV[10], sealed = ARGV[11], keep = tonumber(ARGV[12]) }
local notes = { change = ARGV[13], sealed = ARGV[14], keep = tonumber(ARGV[15]) }

local epoch = begin(ARGV[3])
local released = releases ~= '' and redis.call('HGET', STATE, 'lease.owner') == releases
if released then
  redis.call('HDEL', STATE, 'lease.owner', 'lease.until')
end
local entry = read()
local stored = entry.version
if not is_of_a_session(stored) then
  stored = version(epoch, '0', '0')
end

-- Another has the lease by now, and may have noted something else. Any lease is later than what
-- comes from before the store has lost its data.
local is_late = greater(last_fence(), ours.epoch == epoch and ours.fence or '0')

-- The version that the entry has after the change, or nil.
local function allowed()
  local saves, keeps = session.change == 'save', session.change == 'keep'
  if keeps and notes.change == 'save' and is_late then
    return nil
  end
  -- The store has lost what has ended, and others may have it still, who would save it again.
  if session.change == 'end' and is_of_a_session(ours) and not is_of_a_session(stored) then
    return ours.epoch == epoch and ours or version(epoch, '0', next_revision)
  end
  if ours.epoch == stored.epoch then
    if saves then
      local was_logged_out = entry.over and not entry.session
      local returns = was_logged_out and is_same_session(ours, stored)
      return is_newer(ours, stored) and not returns and ours or nil
    end
    local is_ours = keeps or is_same_session(ours, stored)
    return is_ours and not is_newer(stored, ours) and stored or nil
  end
  if (saves or keeps) and ours.epoch == epoch then
    return saves and ours or stored
  end
  -- One that was logged out may be this one, which was saved anew since then.
  if saves and not entry.session and not entry.over then
    return version(epoch, '0', next_revision)
  end
  return nil
end

local after = allowed()
-- The connection was cut after the change was made and before its answer came, so it is asked for
-- again. No two sealed texts are equal.
if is_again and not after and session.change == 'save' and entry.session
    and entry.session.sealed == session.sealed then
  return { 'made', entry.version.epoch, entry.version.fence, entry.version.revision }
end
if after then
  redis.call('HSET', STATE, 'version.epoch', after.epoch, 'version.fence', after.fence,
    'version.revision', after.revision)
  if session.change == 'save' then
    save(SESSION, session.sealed, session.keep)
    redis.call('HSET', STATE, 'over', '0')
  elseif session.change == 'reject' then
    redis.call('HSET', STATE, 'over', '1')
  elseif session.change == 'end' then
    redis.call('DEL', SESSION)
    redis.call('HSET', STATE, 'over', '1')
  end
  if notes.change == 'save' and not is_late then
    save(NOTES, notes.sealed, notes.keep)
  end
end
if after or released then
  publish()
end
local told = after or entry.version
return { after and 'made' or 'newer', told.epoch, told.fence, told.revision }
