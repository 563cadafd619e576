-- Each start of a server has an id of its own. A user who may not ask for it goes without.
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end
