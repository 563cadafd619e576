-- The login server wants no login for so long.
local wait = tonumber(ARGV[1])
local held_until = tonumber(redis.call('HGET', STATE, 'held_until')) or 0
redis.call('HSET', STATE, 'held_until', text(math.max(held_until, now + wait)))
keep(STATE, wait + LONG)
return 1
