-- Microseconds since 1970, by the clock of the server. A Lua number holds them exactly until 2255.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- What is to be longer than every session and every pause of a fleet: 90 days.
local LONG = 7776000000000

-- A number as Redis reads it. Lua itself would write it with an exponent, and round it.
local function text(number)
  return string.format('%.0f', number)
end

-- Lets a key live for so many microseconds. A longer life is not shortened.
local function keep(key, micros)
  local millis = math.ceil(micros / 1000)
  if redis.call('PTTL', key) < millis then
    redis.call('PEXPIRE', key, text(millis))
  end
end
