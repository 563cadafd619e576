-- An entry has three keys. The first one outlives the others: it has the lease, whose fences must
-- not begin anew, and the version, also of a session that has ended. The others go when what they
-- hold need not be kept any more.
local STATE, SESSION, NOTES = KEYS[1], KEYS[2], KEYS[3]
local CHANNEL, NAME = ARGV[1], ARGV[2]

-- The numbers of a version are decimal texts without leading zeros: as Lua numbers they would lose
-- digits from 2^53 on.
local function greater(a, b)
  if #a ~= #b then
    return #a > #b
  end
  return a > b
end

local function version(epoch, fence, revision)
  return { epoch = epoch, fence = fence, revision = revision }
end

local function is_newer(a, b)
  if a.epoch ~= b.epoch then
    return true
  end
  if a.fence ~= b.fence then
    return greater(a.fence, b.fence)
  end
  return greater(a.revision, b.revision)
end

local function is_same_session(a, b)
  return a.epoch == b.epoch and a.fence == b.fence
end

local function is_of_a_session(a)
  return a.fence ~= '0' or a.revision ~= '0'
end

-- The field if it is a number of 64 bits, or nil: what is damaged counts as absent.
local function number(field)
  return field and string.match(field, '^%d+$') and not greater(field, '18446744073709551615')
    and field or nil
end

-- The fields of a hash, or nil where the key is of another type: that is another program's.
local function fields(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  if not found.err then
    return found
  end
  return not string.find(found.err, 'WRONGTYPE', 1, true) and redis.call('HMGET', key, ...) or nil
end

-- What is kept under a key, or nil; and whether there is something that can't be read.
local function kept(key)
  local found = fields(key, 'sealed', 'saved')
  if not found then
    return nil, true
  end
  local sealed, saved = found[1], number(found[2])
  if not (sealed and saved) then
    return nil, (sealed or found[2]) ~= false
  end
  -- The clock of the server may have been set back.
  return { sealed = sealed, age = math.max(0, now - saved) }, false
end

local function read()
  local found = fields(STATE, 'version.epoch', 'version.fence', 'version.revision', 'over') or {}
  local has_version = number(found[1]) and number(found[2]) and number(found[3])
  local session, session_is_damaged = kept(SESSION)
  local notes, notes_are_damaged = kept(NOTES)
  -- Without its version, a session can't be compared with another.
  local version_is_damaged = not has_version and (found[1] or found[2] or found[3] or session)
  return {
    version = has_version and version(found[1], found[2], found[3]) or version('0', '0', '0'),
    session = has_version and session or nil,
    over = found[4] == '1',
    notes = notes,
    is_damaged = session_is_damaged or notes_are_damaged or version_is_damaged,
  }
end

-- The epoch of the store, which begins with `candidate` if there is none.
local function begin(candidate)
  local epoch = number(redis.call('HGET', STATE, 'lease.epoch'))
  if not epoch then
    epoch = candidate
    redis.call('HSET', STATE, 'lease.epoch', epoch)
  end
  keep(STATE, LONG)
  return epoch
end

-- The fence of the last lease.
local function last_fence()
  return number(redis.call('HGET', STATE, 'lease.fence')) or '0'
end

local function save(key, sealed, micros)
  -- The life of the key begins anew, so that it can be shorter than before. With no time left, it
  -- is gone at once.
  redis.call('DEL', key)
  redis.call('HSET', key, 'sealed', sealed, 'saved', text(now))
  keep(key, micros)
  keep(STATE, micros + LONG)
end

-- A user who may not publish is no failure: who waits looks every now and then anyway.
local function publish()
  redis.pcall('PUBLISH', CHANNEL, NAME)
end
