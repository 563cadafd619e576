-- The permits of an origin are a sorted set: the id of each, by the microsecond until which it
-- counts. Beside it is what holds all of them back.
local GIVEN, STATE = KEYS[1], KEYS[2]

-- The permit counts for so long from now on.
local function count(id, micros)
  redis.call('ZADD', GIVEN, text(now + micros), id)
  keep(GIVEN, micros)
end

local function drop_lapsed()
  redis.call('ZREMRANGEBYSCORE', GIVEN, '-inf', text(now))
end
