-- (g) The script that shops use: check and decrement, in one step.
local stock = tonumber(redis.call('GET', KEYS[1]))
if not stock then
    return redis.error_reply('product not found')
elseif stock < tonumber(ARGV[1]) then
    return -1
end
return redis.call('DECRBY', KEYS[1], ARGV[1])
