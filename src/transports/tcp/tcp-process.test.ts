/** What needs a process of its own: an inherited listener, and running out of descriptors. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'

const TRANSPORT = new URL('./tcp.ts', import.meta.url).href
const windows = process.platform === 'win32'
const linux = process.platform === 'linux'

for (const engine of ['handle', 'net']) {
  test(`tcp (${engine}) takes over an inherited descriptor`, { skip: windows }, async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle
    // As systemd does it: descriptor 3 listens already.
    const child = run(
      `const listener = await transport.listen({ kind: 'ip', host: '0.0.0.0', port: 0 }, {
         descriptor: 3,
         onConnection(connection) {
           connection.open({
             onData(chunk) { connection.write(chunk.slice()) },
             onEnd() { connection.end() }, onDrain() {}, onClose() { void listener.close() },
           })
         },
       })
       console.log(listener.address.host + ':' + listener.address.port)`,
      engine,
      ['ignore', 'pipe', 'inherit', fd],
    )
    const address = await child.line()
    server.close()
    assert.equal(address, `127.0.0.1:${port}`)
    const socket = connect(port, '127.0.0.1')
    socket.end('hello')
    assert.equal(await text(socket), 'hello')
    assert.equal(await child.exit, 0)
  })

  test(`tcp (${engine}) survives running out of descriptors`, { skip: !linux }, async () => {
    const child = run(
      `const listener = await transport.listen({ kind: 'ip', host: '127.0.0.1', port: 0 }, {
         onConnection(connection) {
           connection.open({
             onData(chunk) { connection.write(chunk.slice()) },
             onEnd() { connection.end() }, onDrain() {}, onClose() {},
           })
         },
         onError(error) { console.log(error.code + ' ' + error.message) },
       })
       process.stdin.resume().on('end', () => process.exit(0))
       console.log(listener.address.port)`,
      engine,
      ['pipe', 'pipe', 'inherit'],
      'ulimit -n 48; ',
    )
    const port = Number(await child.line())
    const sockets: Socket[] = []
    const closed: Promise<unknown>[] = []
    for (let count = 0; count < 48; count++) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      closed.push(new Promise((resolve) => socket.once('close', resolve)))
      socket.resume()
      sockets.push(socket)
    }
    assert.match(await child.line(), /^ERR_ACCEPT 127\.0\.0\.1:\d+ took descriptor \d+ of 48: /)
    await Promise.race(closed) // libuv sheds what is too much
    for (const socket of sockets) socket.destroy()
    await Promise.all(closed)
    assert.equal(await echoEventually(port), 'still there')
    child.end()
    assert.equal(await child.exit, 0)
  })
}

/** The child hears of the closed sockets in its own time; until then it sheds. */
async function echoEventually(port: number): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect(port, '127.0.0.1')
    socket.end('still there')
    const answer = await text(socket).catch(() => '')
    if (answer !== '') return answer
  }
  return ''
}

/** A child that has `transport`, and whose output is read line by line. */
function run(
  code: string,
  engine: string,
  stdio: ('ignore' | 'pipe' | 'inherit' | number)[],
  before = '',
) {
  const source = `import { tcp } from '${TRANSPORT}'\nconst transport = tcp({ engine: '${engine}' })\n${code}`
  const child = spawn(
    'sh',
    ['-c', `${before}exec "$0" --input-type=module -e "$1"`, process.execPath, source],
    {
      stdio,
    },
  )
  const lines: string[] = []
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = []
  let rest = ''
  child.stdout?.on('data', (chunk) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      const next = waiting.shift()
      if (next === undefined) lines.push(line)
      else next.resolve(line)
    }
  })
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  void exit.then((code) => {
    for (const { reject } of waiting) reject(new Error(`the child ended with ${code}`))
  })
  return {
    exit,
    line(): Promise<string> {
      const line = lines.shift()
      if (line !== undefined) return Promise.resolve(line)
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    },
    end: () => child.stdin?.end(),
  }
}

async function text(socket: Socket): Promise<string> {
  let whole = ''
  for await (const chunk of socket) whole += chunk
  return whole
}
