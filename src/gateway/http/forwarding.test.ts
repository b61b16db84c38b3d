import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, ip, unix } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import { Forwarder, type ForwardingOptions } from './forwarding.ts'
import { compileHeaderEdits } from './header-edits.ts'
import { HOP, headerKind, PLAIN } from './header-kind.ts'

const DEFAULTS: ForwardingOptions = {
  trustedHops: 0,
  xForwarded: true,
  forwarded: false,
  via: 'gw1',
  requestIdHeader: 'x-request-id',
  trustRequestId: false,
}

type Pairs = readonly (readonly [string, string])[]

function requestOf(fields: Pairs, remote: Address = ip('192.0.2.7', 5_000)): HttpRequest {
  const request = new HttpRequest({ authority: 'a.example:8080', fields: new HttpFields(fields) })
  request.connection = { facts: { remote } } as unknown as Connection
  return request
}

function forward(
  fields: Pairs,
  options: Partial<ForwardingOptions> = {},
  remote?: Address,
): Record<string, string[]> {
  const forwarder = new Forwarder({ ...DEFAULTS, ...options }, () => 'id-1')
  const head = forwarder.forwardRequest(requestOf(fields, remote), undefined, true)
  assert.ok(head.fields !== undefined)
  return grouped(head.fields)
}

function grouped(fields: HttpFields): Record<string, string[]> {
  const groups: Record<string, string[]> = {}
  fields.forEach((name, value) => {
    const key = name.toLowerCase()
    groups[key] = [...(groups[key] ?? []), value]
  })
  return groups
}

const OURS = {
  'x-request-id': ['id-1'],
  'x-forwarded-for': ['192.0.2.7'],
  'x-forwarded-proto': ['http'],
  'x-forwarded-host': ['a.example:8080'],
  via: ['1.1 gw1'],
}

test('Forwarder passes end-to-end fields in order and adds what upstreams need', () => {
  const sent = forward([
    ['Host', 'a.example:8080'],
    ['Accept', 'a/b'],
    ['Cookie', 'x=1'],
    ['Cookie', 'y=2'],
  ])
  assert.deepEqual(sent, { accept: ['a/b'], cookie: ['x=1', 'y=2'], ...OURS })
})

test('Forwarder leaves out what concerns one connection', () => {
  const sent = forward([
    ['Connection', 'close, X-Private'],
    ['x-private', '1'],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Connection', 'keep-alive'],
    ['TE', 'gzip'],
    ['Transfer-Encoding', 'chunked'],
    ['Proxy-Authorization', 'Basic x'],
    ['Expect', '100-continue'],
    ['Upgrade', 'websocket'],
    ['X-Public', '2'],
  ])
  assert.deepEqual(sent, { 'x-public': ['2'], ...OURS })
})

test('Forwarder does not let Connection take away fields of ours or fields that matter', () => {
  const sent = forward([
    ['Connection', 'X-Forwarded-For, x-request-id, Via, Authorization, Host'],
    ['Authorization', 'Bearer x'],
  ])
  assert.deepEqual(sent, { authorization: ['Bearer x'], ...OURS })
})

test('Forwarder keeps TE: trailers', () => {
  assert.deepEqual(forward([['TE', 'gzip, Trailers']]).te, ['trailers'])
})

test('Forwarder passes upgrades, but never to another HTTP', () => {
  const websocket = forward([
    ['Connection', 'keep-alive, Upgrade'],
    ['Upgrade', 'websocket'],
  ])
  assert.deepEqual(websocket['connection'], ['upgrade'])
  assert.deepEqual(websocket['upgrade'], ['websocket'])
  for (const upgrade of ['h2c', 'websocket, h2c', 'HTTP/2.0']) {
    const sent = forward([
      ['Connection', 'Upgrade, HTTP2-Settings'],
      ['Upgrade', upgrade],
      ['HTTP2-Settings', 'AAMAAABk'],
    ])
    assert.deepEqual(sent, OURS, upgrade)
  }
  // Upgrade without Connection: upgrade is no request to upgrade.
  assert.deepEqual(forward([['Upgrade', 'websocket']]), OURS)
  const forwarder = new Forwarder(DEFAULTS, () => 'id-1')
  const request = requestOf([
    ['Connection', 'upgrade'],
    ['Upgrade', 'websocket'],
  ])
  const refused = forwarder.forwardRequest(request, undefined, false)
  assert.equal(refused.fields?.has('upgrade'), false)
})

test('Forwarder replaces what untrusted clients say of themselves', () => {
  const sent = forward([
    ['X-Forwarded-For', '1.1.1.1'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'evil.example'],
    ['Forwarded', 'for=1.1.1.1'],
    ['X-Request-Id', 'forged'],
  ])
  assert.deepEqual(sent, OURS)
})

test('Forwarder drops our fields in the spelling that CGI-like servers mix up with ours', () => {
  const spoofed: Pairs = [
    ['X_Forwarded_For', '127.0.0.1'],
    ['x-forwarded_proto', 'https'],
    ['X_FORWARDED_HOST', 'evil.example'],
    ['Content_Length', '5'],
    ['Transfer_Encoding', 'chunked'],
  ]
  assert.deepEqual(forward([...spoofed, ['X_Other_Header_', '1']]), {
    x_other_header_: ['1'],
    ...OURS,
  })
  assert.deepEqual(forward(spoofed, { trustedHops: 1 }), OURS)
})

test('Forwarder continues what trusted proxies said', () => {
  const sent = forward(
    [
      ['X-Forwarded-For', '1.1.1.1'],
      ['X-Forwarded-For', '2.2.2.2'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', 'public.example'],
      ['Forwarded', 'for=1.1.1.1'],
      ['X-Request-Id', 'theirs'],
    ],
    { trustedHops: 1, trustRequestId: true, forwarded: true },
  )
  assert.deepEqual(sent, {
    'x-request-id': ['theirs'],
    'x-forwarded-for': ['1.1.1.1, 2.2.2.2, 192.0.2.7'],
    'x-forwarded-proto': ['https'],
    'x-forwarded-host': ['public.example'],
    forwarded: ['for=1.1.1.1', 'for=192.0.2.7;proto=http;host="a.example:8080"'],
    via: ['1.1 gw1'],
  })
})

test('Forwarder writes Forwarded for IPv6 and for Unix sockets', () => {
  const options = { forwarded: true, xForwarded: false }
  const six = forward([], options, ip('fe80::1%eth0', 1))
  assert.deepEqual(six['forwarded'], ['for="[fe80::1]";proto=http;host="a.example:8080"'])
  assert.equal(six['x-forwarded-for'], undefined)
  const local = forward([], options, unix('/run/x'))
  assert.deepEqual(local['forwarded'], ['for=unknown;proto=http;host="a.example:8080"'])
})

test('Forwarder counts trusted hops from the near end', () => {
  const fields: Pairs = [['X-Forwarded-For', 'forged, 1.1.1.1, [2001:db8::1]:443 , 3.3.3.3:80']]
  const cases: [number, string][] = [
    [0, '192.0.2.7'],
    [1, '3.3.3.3'],
    [2, '2001:db8::1'],
    [3, '1.1.1.1'],
    [9, 'forged'],
  ]
  for (const [trustedHops, expected] of cases) {
    const forwarder = new Forwarder({ ...DEFAULTS, trustedHops }, () => '')
    assert.equal(forwarder.clientAddress(requestOf(fields)), expected, String(trustedHops))
  }
  const forwarder = new Forwarder({ ...DEFAULTS, trustedHops: 2 }, () => '')
  assert.equal(forwarder.clientAddress(requestOf([])), '192.0.2.7')
  assert.equal(forwarder.clientAddress(requestOf([], unix('/x'))), undefined)
})

test('Forwarder detects a loop by its own name in Via, and only by that', () => {
  const loops = (via: string) => {
    const forwarder = new Forwarder(DEFAULTS, () => 'id-1')
    return forwarder.forwardRequest(requestOf([['Via', via]]), undefined, true).fields === undefined
  }
  assert.ok(loops('1.1 gw1'))
  assert.ok(loops('1.0 other, 1.1 gw1 (comment), 1.1 third'))
  assert.ok(loops('HTTP/1.1 gw1'))
  assert.ok(!loops('1.1 gw10'))
  assert.ok(!loops('1.1 other (gw1)'))
  assert.deepEqual(forward([['Via', '1.0 edge']]).via, ['1.0 edge, 1.1 gw1'])
})

test('Forwarder applies the edits of a route after its own additions', () => {
  const edits = compileHeaderEdits(
    {
      remove: ['Cookie', 'X-Forwarded-Host'],
      set: { Authorization: 'Bearer gateway', 'x-version': 2 },
      add: { Accept: 'c/d' },
      set_from_file: { 'x-secret': '/run/secret' },
    },
    (file) => `content of ${file}`,
  )
  const forwarder = new Forwarder(DEFAULTS, () => 'id-1')
  const request = requestOf([
    ['Cookie', 'a'],
    ['X_Secret', 'forged'],
    ['authorization', 'Bearer client'],
    ['Accept', 'a/b'],
  ])
  const { fields } = forwarder.forwardRequest(request, edits, true)
  assert.ok(fields !== undefined)
  const { 'x-forwarded-host': _, ...rest } = OURS
  assert.deepEqual(grouped(fields), {
    accept: ['a/b', 'c/d'],
    ...rest,
    authorization: ['Bearer gateway'],
    'x-version': ['2'],
    'x-secret': ['content of /run/secret'],
  })
})

test('Forwarder passes a response without what concerned the upstream connection', () => {
  const forwarder = new Forwarder(DEFAULTS, () => '')
  const fields = new HttpFields([
    ['Content-Type', 'a/b'],
    ['Content-Length', '5'],
    ['Connection', 'keep-alive, X-Up'],
    ['X-Up', '1'],
    ['Keep-Alive', 'timeout=5'],
    ['Set-Cookie', 'a=1'],
    ['Set-Cookie', 'b=2'],
    ['Upgrade', 'h2'],
    ['X-Request-Id', 'of the upstream'],
    ['Transfer-Encoding', 'chunked'],
  ])
  const edits = compileHeaderEdits({ set: { 'X-Frame-Options': 'DENY' } }, () => '')
  assert.deepEqual(grouped(forwarder.forwardResponse(fields, edits, 'id-9', false)), {
    'content-type': ['a/b'],
    'content-length': ['5'],
    'set-cookie': ['a=1', 'b=2'],
    'x-request-id': ['id-9'],
    'x-frame-options': ['DENY'],
  })
  const upgraded = new HttpFields([
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
  ])
  assert.deepEqual(grouped(forwarder.forwardResponse(upgraded, undefined, 'id-9', true)), {
    connection: ['upgrade'],
    upgrade: ['websocket'],
    'x-request-id': ['id-9'],
  })
})

test('headerKind tells names apart in any case and length', () => {
  for (const name of ['Keep-Alive', 'PROXY-AUTHENTICATE', 'transfer-encoding', 'Expect']) {
    assert.equal(headerKind(name), HOP, name)
  }
  for (const name of ['', 'keep_alive', 'x', 'content-length', 'é'.repeat(10), 'accept']) {
    assert.equal(headerKind(name), PLAIN, name)
  }
})
