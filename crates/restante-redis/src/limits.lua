-- The operations of restante-redis: one call, one operation. Answers { nonce, first key, a, b }.
-- The constants stand above, written by script.rs; the arithmetic is that of restante_auth::pacing.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local nonce, operation = ARGV[1], ARGV[2]

local function text(number)
    return string.format('%.0f', number)
end

local function answer(a, b)
    return { nonce, KEYS[1], a, b or 0 }
end

-- failures, when the last one was, when the next attempt may be
local function read(key)
    local stored = redis.call('HMGET', key, 'failures', 'failed_at', 'slot')
    return {
        key = key,
        exists = stored[1],
        failures = tonumber(stored[1] or 0),
        failed_at = tonumber(stored[2] or 0),
        slot = tonumber(stored[3] or 0),
    }
end

-- What is known of a network for an account lives 30 days from the last success, whatever is written to it.
local function write(pace, keeps_its_life)
    redis.call('HSET', pace.key, 'failures', text(pace.failures), 'failed_at', text(pace.failed_at), 'slot', text(pace.slot))
    if not keeps_its_life then
        redis.call('PEXPIRE', pace.key, PACE_LIFE)
    end
end

local function failures(pace)
    return now - pace.failed_at < FORGET and pace.failures or 0
end

local function wait(pace)
    return math.max(pace.slot - now, 0)
end

local function reserve(pace, start, count, keeps_its_life)
    local delay = DELAYS[math.min(count, #DELAYS - 1) + 1]
    if delay > 0 then
        pace.slot = start + delay
        write(pace, keeps_its_life)
    end
end

local operations = {}

-- KEYS: address, network, and of an account: name, known. a: the wait, -1 if too long; b: 1 if guarded.
function operations.admit()
    local known = KEYS[4] and read(KEYS[4])
    if known and known.exists and wait(known) <= PATIENCE then
        local waiting = wait(known)
        reserve(known, now + waiting, failures(known), true)
        return answer(waiting)
    end
    local address, network = read(KEYS[1]), read(KEYS[2])
    local waiting = math.max(wait(address), wait(network))
    if waiting > PATIENCE then
        return answer(-1)
    end
    local guarded = 0
    local name = KEYS[3] and read(KEYS[3])
    if name and (failures(name) >= GUARD_FROM or wait(name) > PATIENCE) then
        guarded, name = 1, nil
    end
    if name then
        waiting = math.max(waiting, wait(name))
        reserve(name, now + waiting, failures(name))
    end
    reserve(address, now + waiting, failures(address))
    reserve(network, now + waiting, math.max(failures(network) - NETWORK_FREE, 0))
    return answer(waiting, guarded)
end

-- KEYS as above.
function operations.failed()
    for index, key in ipairs(KEYS) do
        local pace = read(key)
        if index < 4 or pace.exists then
            pace.failures = failures(pace) + 1
            pace.failed_at = now
            write(pace, index == 4)
        end
    end
    return answer(1)
end

-- KEYS: known.
function operations.succeeded()
    redis.call('HSETNX', KEYS[1], 'failures', '0')
    redis.call('PEXPIRE', KEYS[1], KNOWN_LIFE)
    return answer(1)
end

-- KEYS: the account. ARGV: the share of the day. a: 1 if it may.
function operations.spend()
    local spent_until = tonumber(redis.call('GET', KEYS[1]) or 0)
    if math.max(spent_until - now, 0) >= DAY then
        return answer(0)
    end
    local after = math.min(math.max(spent_until, now) + tonumber(ARGV[3]), now + 2 * DAY)
    redis.call('SET', KEYS[1], text(after), 'PX', SPENT_LIFE)
    return answer(1)
end

local function keep_place(key, session)
    redis.call('ZADD', key, text(now + LEASE * 1000), session)
    redis.call('PEXPIRE', key, LEASE)
end

-- KEYS: the tenant. ARGV: the session, how many there may be. a: 1 if it has a place.
function operations.enter()
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
    if not redis.call('ZSCORE', KEYS[1], ARGV[3]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
        return answer(0)
    end
    keep_place(KEYS[1], ARGV[3])
    return answer(1)
end

-- KEYS: the tenant. ARGV: the session.
function operations.leave()
    redis.call('ZREM', KEYS[1], ARGV[3])
    return answer(1)
end

-- KEYS: tenants. ARGV: a session for each.
function operations.renew()
    for index, key in ipairs(KEYS) do
        keep_place(key, ARGV[index + 2])
    end
    return answer(1)
end

return operations[operation]()
