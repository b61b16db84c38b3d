/**
 * Secrets are in no log, error or dump. Canaries are put wherever a secret may be, the library and
 * the gateway are run through success, refusal, failure and crash, and everything that comes out is
 * searched for them, whatever form they are in.
 */
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { run } from '../../src/cli/run.ts'
import {
  apiKeyCredentials,
  basicCredentials,
  bearerCredentials,
} from '../../src/clients/http/credentials.ts'
import { explainText } from '../../src/clients/http/explain-client.ts'
import { httpAgent } from '../../src/clients/http/http-agent.ts'
import { type HttpClientOptions, httpClient } from '../../src/clients/http/http-client.ts'
import { oauthTokens } from '../../src/clients/http/oauth-tokens.ts'
import { formatAddress, parseAddress } from '../../src/core/address.ts'
import { dns } from '../../src/discovery/dns.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { formatProblem } from '../../src/gateway/config/problem.ts'
import { startGateway } from '../../src/gateway/gateway.ts'
import { nodeTransports } from '../../src/gateway/node-transports.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { lockout } from '../../src/runtime/lockout.ts'
import { AuditLog } from '../../src/security/audit/audit-log.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { generateApiKey } from '../../src/security/identity/api-keys.ts'
import { hashPassword } from '../../src/security/identity/password-hash.ts'
import { apiKey } from '../../src/servers/http/authentication/api-key.ts'
import { authenticate } from '../../src/servers/http/authentication/authenticate.ts'
import { basic } from '../../src/servers/http/authentication/basic.ts'
import { opaqueBearer } from '../../src/servers/http/authentication/bearer.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { jsonLogger } from '../../src/telemetry/log.ts'
import { renderPrometheus } from '../../src/telemetry/prometheus.ts'
import { Registry } from '../../src/telemetry/registry.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { Canaries } from './canaries.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'heddle-secrets-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** What it gives, or how it fails: both are looked at. */
async function outcome(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    return error
  }
}

const CHANNELS = [
  ...['start', 'end', 'asyncStart', 'asyncEnd', 'error'].flatMap((event) =>
    ['client', 'server'].map((side) => `tracing:heddle:${side}:call:${event}`),
  ),
  'heddle:connection:state',
  'heddle:breaker:state',
  'heddle:client:retry',
]

test('secrets of callers are in no error, dump, log, metric or event of client and server', async (t) => {
  const canaries = new Canaries()
  const path = join(folder(t), 'audit.log')
  const lines: string[] = []
  const log = jsonLogger((line) => lines.push(line), systemClock, { level: 'debug' })
  const onMessage = (message: unknown, name: unknown) =>
    canaries.look(`channel ${String(name)}`, message)
  for (const channel of CHANNELS) subscribe(channel, onMessage)
  t.after(() => {
    for (const channel of CHANNELS) unsubscribe(channel, onMessage)
  })
  const { key: apiKeyText, entry } = generateApiKey({ roles: ['r'] })
  const good = { password: canaries.make('password'), token: canaries.make('token') }
  canaries.add('api key', apiKeyText.reveal().split('.')[1] as string)
  const audit = await AuditLog.open({ path, clock: systemClock, key: canaries.make('auditkey') })
  const registry = new Registry({ wallNow: () => systemClock.wallNow() })
  const guard = lockout({ maxFailures: 3 })
  const authentication = authenticate(
    [
      basic({
        users: (_name, password) => (password === good.password ? { roles: [] } : undefined),
      }),
      opaqueBearer({
        verify: (token) =>
          token === good.token
            ? { id: 'service', method: 'bearer', roles: [], attributes: {} }
            : undefined,
      }),
      apiKey({ keys: [entry] }),
    ],
    { guard, observer: audit },
  )
  let crash = false
  const server = httpServer(
    (request, context) => {
      canaries.look('context', context)
      canaries.look('request', request, request.fields)
      if (crash) throw new Error('crash')
      return HttpResponse.text('in', { fields: { 'set-cookie': `s=${cookie}` } })
    },
    { authentication, meter: registry, onError: (error) => log.error('server', { err: error }) },
  )
  const cookie = canaries.make('cookie')
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  const port = address.kind === 'ip' ? address.port : 0
  const origin = `http://127.0.0.1:${port}`
  const wrong = canaries.make('wrong')
  const nobody = 'http://127.0.0.1:1'
  const proxied = { proxy: `http://user:${canaries.make('proxypassword')}@127.0.0.1:1` }
  const socks = { proxy: `socks5://user:${canaries.make('sockspassword')}@127.0.0.1:1` }
  const cases: [string, string, HttpClientOptions][] = [
    ['basic', origin, { credentials: basicCredentials('ada', good.password) }],
    ['basic wrong', origin, { credentials: basicCredentials('ada', wrong) }],
    ['bearer', origin, { credentials: bearerCredentials(good.token) }],
    ['bearer wrong', origin, { credentials: bearerCredentials(canaries.make('badtoken')) }],
    ['api key', origin, { credentials: apiKeyCredentials(apiKeyText) }],
    ['nobody', nobody, { credentials: basicCredentials('ada', good.password) }],
    ['proxy', origin, proxied],
    ['socks', origin, socks],
    ['own field', origin, {}],
  ]
  for (const broken of [false, true]) {
    crash = broken
    for (const [name, where, options] of cases) {
      const client = httpClient(where, {
        ...options,
        retry: { maxAttempts: 2, baseMs: 1 },
        meter: registry,
      })
      const fields = { authorization: `Basic ${btoa(`x:${wrong}`)}`, cookie: `s=${cookie}` }
      const got = await outcome(() =>
        client.get(
          '/x',
          options.credentials === undefined ? { fields } : { fields: { cookie: `s=${cookie}` } },
        ),
      )
      canaries.look(
        name,
        got,
        client,
        client.core,
        explainText(client),
        explainText(client, { rules: true }),
      )
      if (got instanceof HttpResponse) await got.body.text()
      else log.warn('call failed', { err: got, cookie, authorization: fields.authorization })
      await client.close()
    }
  }
  canaries.look(
    'url with a password',
    await outcome(() => httpClient(`http://u:${wrong}@127.0.0.1:1`)),
  )
  canaries.look('bad url', await outcome(() => httpClient(`http://u:${wrong}@host:port`)))
  canaries.look(
    'bad proxy',
    await outcome(() => httpClient(origin, { proxy: `ftp://u:${wrong}@h` })),
  )
  for (const text of [`tcp://u:${wrong}@h:x`, `redis://u:${wrong}@h`, `u:${wrong}@h/`]) {
    const parsed = await outcome(() => formatAddress(parseAddress(text)))
    canaries.look('address', parsed)
    const listener = { onEndpoints() {}, onError() {} }
    canaries.look('target', await outcome(() => dns({ clock: systemClock }).watch(text, listener)))
  }
  canaries.look(
    'bad proxy port',
    await outcome(() => httpClient(origin, { proxy: `http://u:${wrong}@h:x` })),
  )
  canaries.look(
    'agent',
    await outcome(() =>
      httpAgent().fetch(`${nobody}/`, { headers: { authorization: `Bearer ${wrong}` } }),
    ),
  )
  await using issuer = httpClient(nobody, { retry: false })
  const clientSecret = canaries.make('clientsecret')
  const refreshToken = canaries.make('refreshtoken')
  const tokens = oauthTokens({ client: issuer, clientId: 'me', clientSecret, refreshToken })
  canaries.look(
    'oauth',
    tokens,
    await outcome(() => httpClient(origin, { credentials: bearerCredentials(tokens) }).get('/')),
  )
  canaries.look('server', server, guard, authentication)
  await server.close()
  canaries.look('audit', audit)
  await audit.close()
  canaries.look('audit log', readFileSync(path, 'utf8'), readFileSync(`${path}.checkpoint`, 'utf8'))
  canaries.look('log', lines.join(''))
  canaries.look('metrics', renderPrometheus(registry, 'prometheus'))
  assert.ok(lines.length > 3)
  canaries.verdict(60)
})

test('secrets of TLS are in no error or dump', async () => {
  const canaries = new Canaries()
  const authority = await DevAuthority.create(systemClock)
  const issued = await authority.issue()
  const passphrase = canaries.make('passphrase')
  const key = canaries.add(
    'encrypted key',
    createPrivateKey(issued.key)
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
      .toString(),
  )
  canaries.add('key', issued.key)
  const { certificate, ca } = issued
  const other = await authority.issue()
  canaries.add('other key', other.key)
  for (const credentials of [
    { certificate, key, passphrase },
    { certificate, key, passphrase: canaries.make('wrongpassphrase') },
    { certificate, key },
    { certificate: other.certificate, key, passphrase },
    { certificate: issued.key, key: issued.key },
    { certificate, key: `${issued.key.slice(0, 90)}` },
  ]) {
    const transport = tls({
      credentials,
      ca,
      ticketKeys: Buffer.from(canaries.make('ticket').slice(0, 48)),
    })
    const failures: unknown[] = []
    const listening = await outcome(() =>
      transport.listen(
        { kind: 'ip', host: '127.0.0.1', port: 0 },
        {
          onConnection: (connection) => connection.destroy(),
          onError: (error) => void failures.push(error),
        },
      ),
    )
    canaries.look('tls', transport, listening, failures)
    if (listening instanceof Error) continue
    const { address, close } = listening as { address: never; close: () => Promise<void> }
    const client = tls({ ca, credentials: { certificate, key: issued.key } })
    const connection = await outcome(() => client.connect(address))
    canaries.look('tls client', client, connection)
    ;(connection as { destroy?(): void }).destroy?.()
    void close.call(listening)
  }
  canaries.verdict(18)
})

test('secrets of a gateway are in no log, answer, page, metric or error', async (t) => {
  const canaries = new Canaries()
  const path = folder(t)
  const file = (name: string, text: string) => {
    const where = join(path, name)
    writeFileSync(where, text)
    return where
  }
  const issued = await (await DevAuthority.create(systemClock)).issue()
  const passphrase = canaries.make('passphrase')
  const key = canaries.add(
    'key',
    createPrivateKey(issued.key)
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
      .toString(),
  )
  const upstream = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  upstream.listen(0, '127.0.0.1')
  await new Promise((resolve) => upstream.once('listening', resolve))
  t.after(() => upstream.close())
  const environment: Record<string, string> = {
    UPSTREAM_TOKEN: canaries.make('environment'),
    SOME_PASSWORD: canaries.make('password'),
  }
  const password = canaries.make('userpassword')
  const userHash = await hashPassword(password, { costLog2: 14 })
  canaries.add('hash of a password', userHash.split('$').at(-1) as string)
  const apiKeyOf = generateApiKey({ name: 'robot' })
  canaries.add('api key', apiKeyOf.key.reveal().split('.')[1] as string)
  const access = join(path, 'access.log')
  const audit = join(path, 'audit.log')
  const config = {
    admin: { enabled: true, address: '127.0.0.1:0' },
    access_log: { path: access, headers: ['authorization', 'cookie', 'x-api-key', 'user-agent'] },
    audit_log: {
      path: audit,
      key_file: file('audit.key', canaries.make('auditkey')),
      decisions: 'all',
    },
    listeners: [
      { name: 'http', address: '127.0.0.1:0' },
      {
        name: 'https',
        address: '127.0.0.1:0',
        tls: {
          certificates: [
            {
              cert_file: file('a.crt', issued.certificate),
              key_file: file('a.key', key),
              passphrase,
            },
            {
              cert_file: join(path, 'a.crt'),
              key_file: join(path, 'a.key'),
              passphrase_file: file('pass', passphrase),
              server_names: ['b.example'],
            },
          ],
          session_tickets: { secret_file: file('ticket', canaries.make('ticketsecret')) },
        },
      },
    ],
    routes: [
      {
        match: { prefix: '/good' },
        cluster: 'good',
        request_headers: {
          set: {
            authorization: 'Bearer ${UPSTREAM_TOKEN}',
            'x-api-key': canaries.make('setheader'),
          },
        },
      },
      {
        match: { prefix: '/login' },
        cluster: 'known',
        authentication: {
          basic: { users_file: file('users', `ada:${userHash}:admin\n`) },
          api_keys: { file: file('keys', `${apiKeyOf.line}\n`) },
          lockout: { max_failures: 2 },
        },
      },
      {
        match: { prefix: '/bad' },
        cluster: 'bad',
        request_headers: { add: { cookie: '${SOME_PASSWORD}' } },
      },
    ],
    clusters: [
      { name: 'good', endpoints: [`127.0.0.1:${(upstream.address() as { port: number }).port}`] },
      {
        name: 'known',
        endpoints: ['127.0.0.1:1'],
        credentials: {
          basic: {
            username: 'gw',
            password_file: file('upstream', canaries.make('upstreampassword')),
          },
        },
      },
      { name: 'bad', endpoints: ['127.0.0.1:1'] },
    ],
  }
  let text = JSON.stringify(config)
  const load = async () =>
    loadConfig(text, { file: 'g.yaml', environment: (name) => environment[name] })
  const loaded = await load()
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'))
  const lines: string[] = []
  const gateway = await startGateway(loaded, {
    clock: systemClock,
    random: nodeHost.random,
    host: nodeHost,
    transports: nodeTransports(systemClock),
    names: (maxTtlMs) => dns({ clock: systemClock, maxTtlMs }),
    log: jsonLogger((line) => lines.push(line), systemClock, { level: 'debug' }),
    version: 'test',
    process: undefined,
    writeOut: (line) => lines.push(line),
    writeErr: (line) => lines.push(line),
    file: undefined,
    load,
    descriptor: () => undefined,
  })
  t.after(() => gateway.destroy())
  const url = `http://${gateway.listeners().find(({ name }) => name === 'http')?.address}`
  const secret = {
    authorization: `Bearer ${canaries.make('bearer')}`,
    cookie: `a=${canaries.make('cookie')}`,
    'x-api-key': canaries.make('apikey'),
  }
  for (const where of ['/good', '/bad', '/none', `/good?token=${canaries.make('query')}`]) {
    const response = await fetch(`${url}${where}`, { headers: secret })
    canaries.look(`answer of ${where.slice(0, 5)}`, [...response.headers], await response.text())
  }
  const logins: Record<string, string>[] = [
    { authorization: `Basic ${btoa(`ada:${password}`)}` },
    { 'x-api-key': apiKeyOf.key.reveal() },
    { 'x-api-key': `${apiKeyOf.entry.id}.${canaries.make('wrongkey')}` },
    ...[1, 2, 3].map(() => ({ authorization: `Basic ${btoa(`ada:${canaries.make('guess')}`)}` })),
  ]
  const statuses: number[] = []
  for (const headers of logins) {
    const response = await fetch(`${url}/login`, { headers })
    statuses.push(response.status)
    canaries.look('answer to a login', [...response.headers], await response.text())
  }
  assert.deepEqual(statuses, [502, 502, 401, 401, 401, 429])
  const pages = ['/config', '/api/status', '/explain', '/metrics', '/clusters', '/livez', '/']
  const adminPages = async () => {
    for (const page of pages) {
      const response = await fetch(`http://${gateway.adminAddress}${page}`)
      canaries.look(`admin ${page}`, await response.text())
    }
  }
  await adminPages()
  // Broken in several ways: what is said about it quotes no secret.
  const broken = [
    text.replace('/good', '/go\\u0000od'),
    text.replace('"set":', '"sett":'),
    text.replace('"passphrase":', '"passphrse":'),
    text.replace('UPSTREAM_TOKEN', 'NO_SUCH'),
    text.replace(JSON.stringify(passphrase), JSON.stringify(canaries.make('wrongpassphrase'))),
    text.slice(0, -20),
  ]
  for (const one of broken) {
    text = one
    canaries.look('reload', await gateway.reload(), gateway.config)
    const configFile = file('check.yaml', one)
    for (const args of [
      ['check', configFile],
      ['check', configFile, '--print-effective'],
    ]) {
      canaries.look(args.join(' '), await commandLine(args, environment))
    }
  }
  await adminPages()
  text = JSON.stringify(config)
  const whole = file('check.yaml', text)
  const printed = await commandLine(['check', whole, '--print-effective'], environment)
  assert.match(printed, /x-api-key: ("|')?\[redacted\]/)
  canaries.look('effective', printed, await commandLine(['check', whole], environment))
  canaries.look('gateway', gateway, gateway.recentErrors(), gateway.explain(), gateway.config)
  await gateway.drain()
  canaries.look('log', lines.join(''))
  canaries.look('access log', readFileSync(access, 'utf8'))
  canaries.look('audit log', readFileSync(audit, 'utf8'))
  assert.match(readFileSync(access, 'utf8'), /"authorization":"\[redacted\]"/)
  // What is said is said: the log is not empty because everything was left out.
  const first = JSON.parse(readFileSync(audit, 'utf8').split('\n')[1] ?? '')
  assert.ok(
    readFileSync(access, 'utf8').includes(first.correlation_id),
    'the request id joins both',
  )
  for (const seen of [/"outcome":"accepted",.*"principal":"ada"/, /"type":"lockout"/, /"robot"/]) {
    assert.match(readFileSync(audit, 'utf8'), seen)
  }
  canaries.verdict(40)
})

async function commandLine(args: string[], env: Record<string, string>): Promise<string> {
  let text = ''
  const stream = { write: (chunk: string) => void (text += chunk), isTTY: false }
  const host = { stdout: stream, stderr: stream, env, on() {}, off() {} }
  await run(args, host as never)
  return text
}
