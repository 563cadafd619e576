-- Drops what is stored, and keeps the lease with its fence. It begins a new epoch, since the marks
-- of spent tokens are gone.
local dropped = redis.call('DEL', SESSION, NOTES) + redis.call(
  'HDEL', STATE, 'version.epoch', 'version.fence', 'version.revision', 'over')
if dropped == 0 then
  return 0
end
redis.call('HSET', STATE, 'lease.epoch', ARGV[3])
keep(STATE, LONG)
publish()
return 1
