-- The login of a permit has ended. One that is not known any more has lapsed.
local id, counts_for = ARGV[1], tonumber(ARGV[2])
if redis.call('ZSCORE', GIVEN, id) then
  count(id, counts_for)
end
drop_lapsed()
return 1
