-- The login of a permit has ended. It counts from then on, even if the permit had lapsed.
local id, counts_for = ARGV[1], tonumber(ARGV[2])
if counts_for > 0 or redis.call('ZSCORE', GIVEN, id) then
  count(id, counts_for)
end
drop_lapsed()
return 1
