-- What wrk sends, and its totals in one line for the bench to read.
-- Arguments after "--": method, path, bytes of body, requests pipelined.

function init(args)
  local method, path = args[1], args[2]
  local bytes, depth = tonumber(args[3]), tonumber(args[4])
  local body = bytes > 0 and string.rep("x", bytes) or nil
  if body then wrk.headers["Content-Type"] = "application/octet-stream" end
  local one = wrk.format(method, path, wrk.headers, body)
  batch = string.rep(one, depth)
end

function request()
  return batch
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("totals %d %d %d %d %d %d\n",
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99)))
end
