/**
 * TLS at the gateway: ended, spoken, passed through, behind a PROXY header, reloaded.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect as connectPlain, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { renderPrometheus } from '../../src/telemetry/prometheus.ts'
import { pinOf } from '../../src/transports/tls/certificate-pins.ts'
import { collect, HTTP, rawUpstream, start, upstream } from './running-gateway.ts'
import { certificates } from './test-certificates.ts'

/** Sends one GET over TLS; the answer, and the name of the certificate that was shown. */
async function get(
  port: number,
  servername: string,
  ca: string,
  socket?: Socket,
): Promise<{ text: string; subject: string }> {
  const where = socket === undefined ? { host: '127.0.0.1', port } : { socket }
  const secure: TLSSocket = connect({ ...where, servername, ca })
  await once(secure, 'secureConnect')
  const subject = secure.getPeerCertificate().subjectaltname ?? ''
  secure.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`)
  return { text: await collect(secure), subject }
}

test('Gateway ends TLS, with the certificate of the name that is asked for', async (t) => {
  const { issue, ca } = await certificates(t)
  const a = await issue('a.example')
  const b = await issue('*.b.example')
  const show = await upstream(t, ({ fields, authority }) => {
    return HttpResponse.text(`${fields.get('x-forwarded-proto')} ${authority}`)
  })
  const { at } = await start(t, {
    listeners: [
      {
        ...HTTP,
        tls: {
          certificates: [
            { cert_file: a.cert_file, key_file: a.key_file },
            { cert_file: b.cert_file, key_file: b.key_file, server_names: ['*.b.example'] },
          ],
        },
      },
    ],
    routes: [{ cluster: 'show' }],
    clusters: [{ name: 'show', endpoints: [show] }],
  })
  const { port } = at()
  const first = await get(port, 'a.example', ca())
  assert.match(first.text, /https a\.example$/)
  assert.match(first.subject, /a\.example/)
  assert.match((await get(port, 'x.b.example', ca())).subject, /\*\.b\.example/)
})

test('Gateway speaks TLS to endpoints and checks who they are', async (t) => {
  const { issue, caFile } = await certificates(t)
  const { issued } = await issue('up.example')
  const server = createServer({ cert: issued.certificate, key: issued.key }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure'))
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const endpoint = `127.0.0.1:${(server.address() as { port: number }).port}`
  const ca_file = await caFile()
  const cluster = (name: string, tls: object) => ({ name, endpoints: [endpoint], tls })
  const { url, gateway } = await start(t, {
    listeners: [HTTP],
    routes: ['good', 'wrong', 'unknown', 'unchecked'].map((name) => ({
      match: { path: `/${name}` },
      cluster: name,
    })),
    clusters: [
      cluster('good', { ca_file, server_name: 'up.example' }),
      cluster('wrong', { ca_file, server_name: 'other.example' }),
      cluster('unknown', { server_name: 'up.example' }),
      cluster('unchecked', { verify: false }),
    ],
  })
  const status = async (name: string) => (await fetch(url(`/${name}`))).status
  assert.equal(await status('good'), 200)
  assert.equal(await status('wrong'), 502)
  assert.equal(await status('unknown'), 502)
  assert.equal(await status('unchecked'), 200)
  assert.ok(gateway.recentErrors().some(({ code }) => code === 'ERR_TLS'))
})

test('Gateway ends TLS behind a PROXY header and on a port that detects', async (t) => {
  const { issue, ca } = await certificates(t)
  const own = await issue('own.example')
  const there = await issue('there.example')
  const passed = createServer(
    { cert: there.issued.certificate, key: there.issued.key },
    (socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\npassed through'))
    },
  )
  passed.listen(0, '127.0.0.1')
  await once(passed, 'listening')
  t.after(() => passed.close())
  const show = await upstream(t, ({ fields }) => {
    return HttpResponse.text(`${fields.get('x-forwarded-for')} ${fields.get('x-forwarded-proto')}`)
  })
  const { at, gateway } = await start(t, {
    listeners: [
      {
        ...HTTP,
        protocol: 'detect',
        proxy_protocol: { mode: 'require', trusted: ['any'] },
        tls: { certificates: [{ cert_file: own.cert_file, key_file: own.key_file }] },
        raw_routes: [{ match: { sni: ['there.example'] }, cluster: 'there' }],
      },
    ],
    routes: [{ cluster: 'show' }],
    clusters: [
      { name: 'show', endpoints: [show] },
      { name: 'there', endpoints: [`127.0.0.1:${(passed.address() as { port: number }).port}`] },
    ],
  })
  const announced = (): Socket => {
    const socket = connectPlain(at())
    socket.write('PROXY TCP4 192.0.2.5 198.51.100.1 5000 443\r\n')
    return socket
  }
  const ended = await get(0, 'own.example', ca(), announced())
  assert.match(ended.text, /192\.0\.2\.5 https$/)
  const through = await get(0, 'there.example', ca(), announced())
  assert.match(through.text, /passed through$/)
  assert.match(through.subject, /there\.example/)
  const plain = announced()
  plain.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.match(await collect(plain), /192\.0\.2\.5 http$/)
  assert.equal(gateway.totals.totalConnections, 3)
  assert.equal(gateway.totals.requests, 2)
})

test('Gateway shows a renewed certificate after a reload, on the socket it has, without cutting anybody off', async (t) => {
  const { issue, ca, caFile } = await certificates(t)
  const first = await issue('a.example')
  const { cert_file, key_file } = first
  const certificate = { cert_file, key_file }
  const config = (name: string, more: object = {}) => ({
    listeners: [{ ...HTTP, name, tls: { certificates: [certificate], ...more } }],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const { gateway, at, change } = await start(t, config('http'))
  const { port } = at()
  assert.doesNotMatch((await get(port, 'a.example', ca())).subject, /renewed/)
  const standing: TLSSocket = connect({ port, servername: 'a.example', ca: ca() })
  await once(standing, 'secureConnect')
  const renewed = await issue('a.example', 'renewed.example') // the same files
  assert.equal(renewed.cert_file, cert_file)
  const outcome = await gateway.reload()
  assert.deepEqual(outcome, { status: 'applied', version: 2, changes: ['listener http changed'] })
  // With port 0, a listener that was bound anew would be somewhere else.
  assert.equal(at().port, port)
  assert.match((await get(port, 'a.example', ca())).subject, /renewed/)
  // What else concerns TLS changes the same way.
  change(config('http', { client_ca_file: await caFile(), require_client_certificate: true }))
  assert.equal((await gateway.reload()).status, 'applied')
  assert.equal(at().port, port)
  await assert.rejects(get(port, 'a.example', ca()))
  standing.write('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
  assert.match(await collect(standing), /x$/, 'who was there before goes on')
})

test('Gateway keeps a good certificate when its files turn bad', async (t) => {
  const { issue, ca } = await certificates(t)
  const own = await issue('a.example')
  const other = await issue('other.example')
  const { gateway, at } = await start(t, {
    listeners: [
      {
        ...HTTP,
        // Ended over connections that were looked at first: the other way to TLS.
        protocol: 'detect',
        tls: { certificates: [{ cert_file: own.cert_file, key_file: own.key_file }] },
      },
    ],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const { port } = at()
  await writeFile(own.key_file, other.issued.key)
  const rejected = await gateway.reload()
  assert.equal(rejected.status, 'rejected')
  assert.match(
    JSON.stringify(rejected),
    /a\.example\.key\.pem: the key does not belong to the certif/,
  )
  assert.match((await get(port, 'a.example', ca())).subject, /a\.example/)
  await writeFile(own.cert_file, other.issued.certificate)
  assert.equal((await gateway.reload()).status, 'applied')
  assert.equal(at().port, port)
  assert.match((await get(port, 'other.example', ca())).subject, /other\.example/)
})

test('Gateways that share a secret resume each other’s sessions', async (t) => {
  const { issue, ca } = await certificates(t)
  const own = await issue('a.example')
  const secret_file = `${own.key_file}.tickets`
  await writeFile(secret_file, `${'s'.repeat(40)}\n`)
  const config = (more: object) => ({
    listeners: [
      {
        ...HTTP,
        tls: { certificates: [{ cert_file: own.cert_file, key_file: own.key_file }], ...more },
      },
    ],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  let session: Buffer | undefined
  const resumed = async (port: number) => {
    const socket = connect({ port, servername: 'a.example', ca: ca(), ...(session && { session }) })
    socket.on('session', (next: Buffer) => {
      session = next
    })
    await once(socket, 'secureConnect')
    const reused = socket.isSessionReused()
    socket.write('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
    await collect(socket)
    return reused
  }
  const [first, second, alone] = [
    await start(t, config({ session_tickets: { secret_file } })),
    await start(t, config({ session_tickets: { secret_file } })),
    await start(t, config({})),
  ]
  assert.equal(await resumed(first.at().port), false)
  assert.equal(await resumed(second.at().port), true)
  assert.equal(await resumed(alone.at().port), false, 'keys of its own')
})

test('Gateway refuses client certificates that were revoked or are not pinned', async (t) => {
  const { issue, ca, caFile } = await certificates(t)
  const own = await issue('a.example')
  const authority = await DevAuthority.create(systemClock)
  const [alice, bob] = [
    await authority.issue({ names: ['alice'], usage: 'client' }),
    await authority.issue({ names: ['bob'], usage: 'client' }),
  ]
  const client_ca_file = `${await caFile()}.clients`
  await writeFile(client_ca_file, authority.ca)
  const client_crl_file = `${client_ca_file}.crl`
  await writeFile(client_crl_file, await authority.revocationList([alice.certificate]))
  const certificate = { cert_file: own.cert_file, key_file: own.key_file }
  const base = { certificates: [certificate], client_ca_file, require_client_certificate: true }
  const { at } = await start(t, {
    listeners: [
      { ...HTTP, tls: { ...base, client_crl_file } },
      { ...HTTP, name: 'pinned', tls: { ...base, client_pins: [pinOf(alice.certificate)] } },
    ],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const answer = async (listener: string, { certificate: cert, key }: typeof alice) => {
    const { port } = at(listener)
    const socket = connect({ port, servername: 'a.example', ca: ca(), cert, key })
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
    return (await collect(socket).catch(() => '')).slice(-1)
  }
  assert.deepEqual([await answer('http', alice), await answer('http', bob)], ['', 'x'])
  assert.deepEqual([await answer('pinned', alice), await answer('pinned', bob)], ['x', ''])
})

test('Gateway gives the end of its certificates as a metric and warns in its log', async (t) => {
  const { issue } = await certificates(t)
  const own = await issue('a.example')
  const { gateway } = await start(t, {
    listeners: [
      { ...HTTP, tls: { certificates: [{ cert_file: own.cert_file, key_file: own.key_file }] } },
    ],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const text = renderPrometheus(gateway.registry, 'prometheus')
  const value = /heddle_tls_certificate_expiry_seconds\{.*subject="CN=a\.example".*\} (\S+)/.exec(
    text,
  )
  const days = (Number(value?.[1]) - systemClock.wallNow() / 1_000) / 86_400
  assert.ok(days > 89 && days <= 90, text)
})

test('Gateway survives clients that speak the wrong protocol', async (t) => {
  const { issue, ca } = await certificates(t)
  const own = await issue('own.example')
  const { at, gateway } = await start(t, {
    listeners: [
      { ...HTTP, name: 'plain' },
      { ...HTTP, tls: { certificates: [{ cert_file: own.cert_file, key_file: own.key_file }] } },
    ],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const say = async (name: string, bytes: string): Promise<string> => {
    const socket = connectPlain(at(name))
    socket.on('error', () => {})
    socket.write(bytes)
    return collect(socket).catch(() => '')
  }
  await say('http', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(
    await say('plain', '\u0016\u0003\u0001\u0002\u0000\u0001garbage'),
    /^HTTP\/1\.1 400|^$/,
  )
  assert.match((await get(at().port, 'own.example', ca())).text, /x$/)
  const errors = gateway.recentErrors()
  assert.ok(
    errors.some(({ where }) => where === 'listener http'),
    JSON.stringify(errors),
  )
  assert.ok(errors.some(({ where, message }) => where === 'listener plain' && /TLS/.test(message)))
  assert.ok((await rawUpstream(t, () => {})).length > 0)
})
