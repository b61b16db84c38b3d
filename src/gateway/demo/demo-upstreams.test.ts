import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { startDemoUpstreams } from './demo-upstreams.ts'

async function ask(
  upstreams: Awaited<ReturnType<typeof startDemoUpstreams>>,
  endpoint: string,
  request: string,
): Promise<string> {
  const connection = await upstreams.transport.connect(memory(endpoint))
  const done = Promise.withResolvers<string>()
  let text = ''
  connection.open({
    onData(chunk) {
      text += Buffer.from(chunk).toString()
    },
    onDrain() {},
    onEnd: () => connection.end(),
    onClose: () => done.resolve(text),
  })
  connection.write(Buffer.from(request))
  return done.promise
}

test('startDemoUpstreams serves an API, an echo and a flaky one', async () => {
  await using upstreams = await startDemoUpstreams(systemClock)
  assert.deepEqual(
    upstreams.clusters.map(({ name, endpoints }) => [name, endpoints.length]),
    [
      ['demo-api', 2],
      ['demo-echo', 1],
      ['demo-library', 1],
      ['demo-flaky', 2],
    ],
  )
  const close = 'Host: x\r\nConnection: close\r\n'
  const hello = await ask(upstreams, 'demo-api-1', `GET /api/hello HTTP/1.1\r\n${close}\r\n`)
  assert.match(hello, /^HTTP\/1\.1 200 [\s\S]*"hello":"world"/)
  const user = await ask(upstreams, 'demo-api-2', `GET /users/7 HTTP/1.1\r\n${close}\r\n`)
  assert.match(user, /"id":"7"/)
  const echoed = await ask(
    upstreams,
    'demo-echo-1',
    `POST / HTTP/1.1\r\n${close}Content-Length: 4\r\n\r\nping`,
  )
  assert.match(echoed, /ping$|\r\nping\r\n/)
  const flaky = await ask(upstreams, 'demo-flaky-1', `GET / HTTP/1.1\r\n${close}\r\n`)
  assert.match(flaky, /^HTTP\/1\.1 (200|503) [\s\S]*"flaky"/)
})
