/**
 * `heddle chaos` beside toxiproxy itself: what toxiproxy's clients do and see is written down for
 * both, and must be the same. `toxiproxy-cli` is built on the Go client.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Proxy as ClientProxy, Toxiproxy } from 'toxiproxy-node-client'
import { requirePeer } from './peers.ts'
import { freePort, type Running, start, untilListening } from './support/processes.ts'

const cli = requirePeer('toxiproxy-cli')
const server = requirePeer('toxiproxy-server')
const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))

type Start = (port: number) => Running
const ours: Start = (port) =>
  start(process.execPath, [MAIN, 'chaos', '--api', `127.0.0.1:${port}`, '--quiet'])
const theirs: Start = (port) => start(server.path, ['-host', '127.0.0.1', '-port', `${port}`])

test('toxiproxy-node-client sees the same of heddle chaos as of toxiproxy', {
  skip: server.skip,
}, async (t) => {
  const [heddle, toxiproxy] = await Promise.all([
    withServer(t, ours, clientSteps),
    withServer(t, theirs, clientSteps),
  ])
  assert.deepEqual(heddle, toxiproxy)
  assert.deepEqual(heddle, EXPECTED)
})

test('toxiproxy-cli, of the Go client, prints the same for heddle chaos as for toxiproxy', {
  skip: cli.skip || server.skip,
}, async (t) => {
  const [heddle, toxiproxy] = await Promise.all([
    withServer(t, ours, cliSteps),
    withServer(t, theirs, cliSteps),
  ])
  assert.deepEqual(heddle, toxiproxy)
  assert.match(heddle.join('\n'), /Added downstream latency toxic 'slow' on proxy 'db'/)
})

type Steps = (api: string, upstream: string, say: (line: string) => void) => Promise<void>

/** What the steps said, against a server of their own. */
async function withServer(t: TestContext, startServer: Start, steps: Steps): Promise<string[]> {
  const port = await freePort()
  const echo = createServer((socket) => void socket.on('error', () => {}).pipe(socket))
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  t.after(() => echo.close())
  await using running = startServer(port)
  await untilListening(port, running)
  const said: string[] = []
  await steps(`127.0.0.1:${port}`, `127.0.0.1:${(echo.address() as AddressInfo).port}`, (line) =>
    said.push(line),
  )
  return said
}

/** Every call of the client, and what it does to connections. */
const clientSteps: Steps = async (api, upstream, say) => {
  const toxiproxy = new Toxiproxy(`http://${api}`)
  const proxy = await toxiproxy.createProxy({ name: 'db', listen: '127.0.0.1:0', upstream })
  say(`created ${proxy.name} ${proxy.enabled} ${await shapeOf(`http://${api}/proxies/db`)}`)
  say(`asked ${await ask(proxy, 'hello')}`)

  // Of a connection that lasts.
  const live = await Live.to(proxy)
  const latency = await proxy.addToxic({ ...of('latency', { latency: 1_500, jitter: 0 }) })
  say(`latency ${JSON.stringify(latency.toJson())}`)
  say(`live ${await live.echo('a')}`)
  const faster = await latency.update({ ...of('latency', { latency: 1, jitter: 0 }) })
  say(`updated ${JSON.stringify(faster.attributes)}`)
  say(`live ${await live.echo('b')}`)
  const read = await proxy.getToxic(latency.name)
  say(`read ${read.name} ${read.stream} ${read.toxicity}`)
  await latency.remove()
  say(`live ${await live.echo('c')}`)

  // Toxicity is of connections.
  const limit = await proxy.addToxic({ ...of('limit_data', { bytes: 3 }), toxicity: 0 })
  say(`toxicity 0 ${await ask(proxy, 'hello')}`)
  await limit.update({ ...of('limit_data', { bytes: 3 }), toxicity: 1 })
  say(`toxicity 1 ${await ask(proxy, 'hello')}`)
  await limit.remove()

  for (const [type, attributes] of EFFECTS) {
    const stream = type === 'reset_peer' ? 'upstream' : 'downstream'
    const toxic = await proxy.addToxic({ ...of(type, attributes), stream })
    const before = performance.now()
    const answer = await ask(proxy, 'x'.repeat(1_200))
    const took = performance.now() - before
    say(`${toxic.name} ${summary(answer)} ${took >= LATE_MS ? 'late' : 'soon'}`)
    await toxic.remove()
  }

  say(`again ${await outcome(toxiproxy.createProxy({ name: 'db', listen: '', upstream }))}`)
  say(`nobody ${await outcome(toxiproxy.get('nobody'))}`)
  say(`unknown ${await outcome(proxy.addToxic(of('lag' as 'latency', {})))}`)
  await proxy.addToxic(of('slow_close', { delay: 0 }))
  say(`twice ${await outcome(proxy.addToxic(of('slow_close', { delay: 0 })))}`)
  say(`no toxic ${await outcome(proxy.getToxic('none'))}`)

  const { listen } = proxy
  const off = await proxy.update({ enabled: false, listen, upstream })
  say(`off ${off.enabled}, live ${await live.closed()}, new ${await ask(proxy, 'hello')}`)
  await toxiproxy.reset()
  const back = await toxiproxy.get('db')
  say(`reset ${back.enabled} ${back.listen === listen}`)
  say(`toxics ${await (await fetch(`http://${api}/proxies/db/toxics`)).text()}`.trim())
  say(`asked ${await ask(proxy, 'hello')}`)

  const more = await toxiproxy.populate([
    { name: 'a', listen: '127.0.0.1:0', upstream },
    { name: 'b', listen: '127.0.0.1:0', upstream, enabled: false },
  ])
  say(`populated ${Object.values(more).map(({ name, enabled }) => `${name} ${enabled}`)}`)
  say(`all ${Object.keys(await toxiproxy.getAll()).sort()}`)
  await proxy.remove()
  say(`removed ${await ask(proxy, 'hello')} ${await outcome(toxiproxy.get('db'))}`)
  say(`version ${/"version":\s*"/.test(await toxiproxy.getVersion())}`)
}

/** What a toxic delays takes longer; everything else is far below it. */
const LATE_MS = 1_000
const EFFECTS = [
  ['bandwidth', { rate: 1 }],
  ['slicer', { average_size: 20, size_variation: 5, delay: 1_000 }],
  ['slow_close', { delay: 1_200 }],
  ['timeout', { timeout: 1_200 }],
  ['reset_peer', { timeout: 0 }],
] as const

const EXPECTED = [
  'created db true enabled,listen,name,toxics,upstream',
  'asked hello',
  `latency ${JSON.stringify({
    attributes: { latency: 1_500, jitter: 0 },
    name: 'latency_downstream',
    stream: 'downstream',
    toxicity: 1,
    type: 'latency',
  })}`,
  'live a late',
  'updated {"latency":1,"jitter":0}',
  'live b soon',
  'read latency_downstream downstream 1',
  'live c soon',
  'toxicity 0 hello',
  'toxicity 1 hel',
  'bandwidth_downstream 1200 x late',
  'slicer_downstream 1200 x soon',
  'slow_close_downstream 1200 x late',
  'timeout_downstream nothing late',
  'reset_peer_upstream <ECONNRESET> soon',
  'again 409',
  'nobody 404',
  'unknown 400',
  'twice 409',
  'no toxic 404',
  'off false, live true, new <ECONNREFUSED>',
  'reset true true',
  'toxics []',
  'asked hello',
  'populated a true,b false',
  'all a,b,db',
  'removed <ECONNREFUSED> 404',
  'version true',
]

/** Every command, and what it prints. */
const cliSteps: Steps = async (api, upstream, say) => {
  const run = async (...args: string[]): Promise<void> => {
    const text = await new Promise<string>((resolve) => {
      execFile(cli.path, ['-h', `http://${api}`, ...args], { timeout: 10_000 }, (error, out, err) =>
        resolve(`${error === null ? '' : `exit ${error.code} `}${out}${err}`),
      )
    })
    // Ports differ, attributes come in any order, and our words for what is wrong say more.
    const same = text.replace(/127\.0\.0\.1:\d+/g, 'host:port').replace(/(HTTP 400): .*/g, '$1')
    for (const line of same.split('\n')) {
      const sorted = line.includes('attributes=[')
        ? line.replace(/\[\s*(.*?)\s*\]/, (_, all: string) => `[${all.split(/\s+/).sort()}]`)
        : line
      say(sorted.trimEnd())
    }
  }
  await run('create', '-l', '127.0.0.1:0', '-u', upstream, 'db')
  await run('toxic', 'add', '-n', 'slow', '-t', 'latency', '-a', 'latency=50', '--tox', '0.5', 'db')
  await run('toxic', 'add', '-t', 'bandwidth', '-a', 'rate=100', '-u', 'db')
  await run('toxic', 'add', '-n', 'slow', '-t', 'latency', '-a', 'latency=50', 'db')
  await run('toxic', 'add', '-t', 'lag', 'db')
  await run('toxic', 'add', '-t', 'latency', '-a', 'latency=50', 'nobody')
  await run('toxic', 'update', '-n', 'slow', '-a', 'jitter=5', '--tox', '0.75', 'db')
  await run('inspect', 'db')
  await run('list')
  await run('toxic', 'remove', '-n', 'slow', 'db')
  await run('toxic', 'remove', '-n', 'slow', 'db')
  await run('toggle', 'db')
  await run('toggle', 'db')
  await run('create', '-l', '127.0.0.1:0', '-u', upstream, 'db')
  await run('delete', 'db')
  await run('inspect', 'db')
}

function of<Type extends string, Attributes>(type: Type, attributes: Attributes) {
  return { name: '', type, stream: 'downstream' as const, toxicity: 1, attributes }
}

/** The names in what is answered. */
async function shapeOf(url: string): Promise<string> {
  const answer = (await (await fetch(url)).json()) as object
  const { Logger: _, ...fields } = answer as { Logger?: unknown } // toxiproxy lets it slip out
  return Object.keys(fields).sort().join()
}

async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'done'
  } catch (error) {
    return /status code (\d+)/.exec(String(error))?.[1] ?? String(error)
  }
}

function portOf({ listen }: ClientProxy): number {
  return Number(listen.split(':').at(-1))
}

/** What comes back until it is all there and the connection is over. */
async function ask(proxy: ClientProxy, text: string): Promise<string> {
  const socket = connect(portOf(proxy), '127.0.0.1')
  let heard = ''
  socket.setEncoding('utf8')
  socket.on('data', (part: string) => {
    heard += part
    if (heard.length >= text.length) socket.end()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    heard += `<${error.code}>`
  })
  socket.write(text)
  await new Promise((resolve) => socket.on('close', resolve))
  return heard
}

function summary(answer: string): string {
  if (answer === '') return 'nothing'
  return /^x+$/.test(answer) ? `${answer.length} x` : answer
}

/** A connection that is kept open while toxics change. */
class Live {
  readonly #socket: Socket
  #closed = false

  static async to(proxy: ClientProxy): Promise<Live> {
    const socket = connect(portOf(proxy), '127.0.0.1')
    await once(socket, 'connect')
    return new Live(socket)
  }

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#closed = true
    })
  }

  async echo(text: string): Promise<string> {
    const before = performance.now()
    this.#socket.write(text)
    const [data] = await once(this.#socket, 'data')
    return `${data} ${performance.now() - before >= LATE_MS ? 'late' : 'soon'}`
  }

  async closed(): Promise<boolean> {
    for (let waited = 0; !this.#closed && waited < 5_000; waited += 20) await sleep(20)
    return this.#closed
  }
}
