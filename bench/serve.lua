-- What wrk asks of the server. After `--`: what to ask, the path of the database, the count of documents,
-- and for `put` a prefix for ids and the document.
--
-- The requests are made before the first is sent, so that making them takes no time of the server's. Puts begin again
-- with the first document after the last. Prints one line of JSON at the end.

local ask = {}
local REQUEST_COUNT = { get = 50000, query = 1000, put = 150000 }

function init(arguments)
  local kind, database, count = arguments[1], arguments[2], tonumber(arguments[3])
  local prefix, document = arguments[4], arguments[5]
  local json = { ["Content-Type"] = "application/json" }
  local number = 0

  function ask.get()
    return wrk.format("GET", string.format("%s/get?coll=docs&id=doc%06d", database, math.random(0, count - 1)))
  end

  function ask.query()
    local body = string.format('{"nql":"FROM docs WHERE age = $1 LIMIT 10","params":[%d]}', math.random(0, 99))
    return wrk.format("POST", database .. "/query", json, body)
  end

  function ask.put()
    number = number + 1
    local body = string.format('{"coll":"puts","id":"%s-%d","doc":%s}', prefix, number, document)
    return wrk.format("POST", database .. "/put", json, body)
  end

  math.randomseed(20240615)
  local ready, count_max, next_place = {}, REQUEST_COUNT[kind], 0
  for place = 1, count_max do ready[place] = ask[kind]() end
  function request()
    next_place = next_place % count_max + 1
    return ready[next_place]
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('{"requests":%d,"seconds":%f,"failed":%d,"p50_ms":%f,"p99_ms":%f,"max_ms":%f}',
    summary.requests, summary.duration / 1e6, failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
