-- Drops what is stored, and keeps the lease with its fence.
local dropped = redis.call('DEL', SESSION, NOTES) + redis.call(
  'HDEL', STATE, 'version.epoch', 'version.fence', 'version.revision', 'over')
if dropped == 0 then
  return 0
end
publish()
return 1
