-- What is told of an entry, and whether the server may have lost notes of it: a restart or a replica
-- has what was written a while ago.
local RUN = run_id()

-- The fence up to which leases may have been given before this run, or nil if that is not noted.
local function fence_before_run()
  local noted = fields(STATE, 'run', 'run.after') or {}
  return noted[1] == RUN and number(noted[2]) or nil
end

-- Notes the run with the first lease that is asked for in it. A lease of before has the time as its
-- fence at most, or the last fence that is known.
local function note_run()
  if RUN ~= '' and not fence_before_run() then
    redis.call('HSET', STATE, 'run', RUN, 'run.after', text(math.max(last_fence(), now)))
  end
end

-- Whether notes may be lost that were saved since the lease was given under which the session was
-- obtained. Not whether the session was saved in this run: a revision of one of before is.
local function may_lack_notes(entry)
  local before = fence_before_run()
  local is_of_run = before and greater(entry.version.fence, before)
  return RUN ~= '' and is_of_a_session(entry.version) and not is_of_run
end

local function reply(entry)
  local session, notes = entry.session, entry.notes
  return {
    entry.version.epoch,
    entry.version.fence,
    entry.version.revision,
    entry.over and 1 or 0,
    session and session.sealed or false,
    session and session.age or 0,
    notes and notes.sealed or false,
    notes and notes.age or 0,
    entry.is_damaged and 1 or 0,
    may_lack_notes(entry) and 1 or 0,
  }
end
