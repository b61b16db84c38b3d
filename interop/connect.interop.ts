/**
 * Connect, gRPC-Web and gRPC with other people's: `@connectrpc/connect-node` in both roles, and a page in
 * a headless Chromium that calls with `@connectrpc/connect-web`.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'

import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  type Transport,
} from '@connectrpc/connect'
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node'
import { build } from 'esbuild'
import { connect, grpcWeb, type RpcProtocolOption } from '../src/clients/connect/rpc-protocol.ts'
import { grpcClient } from '../src/clients/grpc/grpc-client.ts'
import { httpClient } from '../src/clients/http/http-client.ts'
import { ip } from '../src/core/address.ts'
import { GrpcError } from '../src/protocols/grpc/grpc-error.ts'
import { HttpResponse, type HttpService } from '../src/protocols/http/messages.ts'
import { ErrorInfoSchema } from '../src/protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { rpcServer } from '../src/servers/connect/rpc-server.ts'
import { type GrpcService, grpcService } from '../src/servers/grpc/grpc-service.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { Echo } from '../test/fixtures/echo/echo_pb.ts'
import { requirePeer } from './peers.ts'
import { openPage } from './support/browser-page.ts'

const chromium = requirePeer('chromium')
const LONG = 'again and '.repeat(20_000)
/** Bidirectional streams need a connection that goes both ways at once. */
type HttpVersion = '1.1' | '2'
const HTTP_VERSIONS: readonly HttpVersion[] = ['1.1', '2']

// --- their clients, our server

type TheirClient = readonly [string, HttpVersion, (baseUrl: string) => Transport]

const CLIENTS: readonly TheirClient[] = HTTP_VERSIONS.flatMap((httpVersion): TheirClient[] => {
  const shared = { httpVersion, acceptCompression: [] }
  return [
    ['Connect', httpVersion, (baseUrl) => createConnectTransport({ ...shared, baseUrl })],
    [
      'Connect in binary, with GET, compressed',
      httpVersion,
      (baseUrl) =>
        createConnectTransport({ httpVersion, baseUrl, useBinaryFormat: true, useHttpGet: true }),
    ],
    ['gRPC-Web', httpVersion, (baseUrl) => createGrpcWebTransport({ httpVersion, baseUrl })],
    [
      'gRPC-Web in JSON',
      httpVersion,
      (baseUrl) => createGrpcWebTransport({ ...shared, baseUrl, useBinaryFormat: false }),
    ],
    ...(httpVersion === '2'
      ? [['gRPC', '2', (baseUrl: string) => createGrpcTransport({ baseUrl })] as const]
      : []),
  ]
})

for (const [name, version, transport] of CLIENTS) {
  test(`connect-node's client calls our server: ${name} over HTTP/${version}`, async () => {
    await using served = await serve(rpcServer([ourEcho()]))
    const client = createClient(Echo, transport(served.url))
    const { say, look, expand, collect, chat, fail } = client
    const headers = new Headers({ 'x-tenant': 'blue' })
    const seen: (string | null)[] = []
    const said = await say(
      { text: LONG, payload: Uint8Array.of(0, 255), number: -1 },
      {
        headers,
        onHeader: (fields) => seen.push(fields.get('x-seen')),
        onTrailer: (fields) => seen.push(fields.get('x-done')),
      },
    )
    assert.deepEqual([said.text, [...said.payload], said.number], [LONG, [0, 255], -1])
    assert.deepEqual(seen, ['blue', 'yes'])
    assert.equal((await look({ text: 'ü' })).text, 'ü')
    assert.equal((await say({})).text, '')
    const numbers: number[] = []
    for await (const { number } of expand({ count: 100, payloadBytes: 2_000 })) numbers.push(number)
    assert.equal(numbers.length, 100)
    for await (const _ of expand({ count: 0 })) assert.fail('a message came')
    await rejects(fail({ code: 9, message: 'no ü', withDetails: true }), Code.FailedPrecondition)
    await rejects(iterate(expand({ count: 3, failAfter: 2, failCode: 15 })), Code.DataLoss)
    await rejects(say({ delayMs: 60_000 }, { timeoutMs: 50 }), Code.DeadlineExceeded)
    const given = new AbortController()
    setTimeout(() => given.abort(), 50)
    await rejects(say({ delayMs: 60_000 }, { signal: given.signal }), Code.Canceled)
    const texts = ['a', LONG, 'c'].map((text) => ({ text }))
    assert.deepEqual((await collect(stream(texts))).count, 3)
    if (version === '2') {
      const answers: string[] = []
      for await (const { text } of chat(stream(texts))) answers.push(text)
      assert.deepEqual(answers, ['a', LONG, 'c'])
    }
  })
}

// --- our client, their server

const PROTOCOLS: Readonly<Record<string, RpcProtocolOption>> = {
  Connect: 'connect',
  'Connect in JSON, with GET': connect({ codec: 'json', useGet: true }),
  'gRPC-Web': grpcWeb(),
  gRPC: 'grpc',
}

for (const [name, protocol] of Object.entries(PROTOCOLS)) {
  for (const [version, compression] of [
    ['1.1', undefined],
    ['1.1', 'gzip'],
    ['2', undefined],
    ['2', 'gzip'],
  ] as const) {
    const how = compression === undefined ? '' : ', compressed'
    test(`our client calls connect-node's server: ${name} over HTTP/${version}${how}`, {
      skip: protocol === 'grpc' && version === '1.1' && 'connect-node takes none of it',
    }, async () => {
      const handler = connectNodeAdapter({ routes })
      const server =
        version === '2' ? createHttp2Server(handler as never) : createHttpServer(handler)
      await using served = await serveNode(server)
      await callAll(served.url, version, protocol, compression)
    })
  }
}

async function callAll(
  url: string,
  version: HttpVersion,
  protocol: RpcProtocolOption,
  compression: 'gzip' | undefined,
): Promise<void> {
  await using channel = httpClient(url, { version })
  const options = { protocol, ...(compression && { compression }) }
  const { say, look, expand, collect, chat, fail } = grpcClient(Echo, channel, options)
  const seen: (string | undefined)[] = []
  const said = await say(
    { text: LONG, payload: Uint8Array.of(0, 255), number: -1 },
    {
      metadata: { 'x-tenant': 'blue' },
      onHeader: (fields) => seen.push(fields.get('x-seen')),
      onTrailer: (fields) => seen.push(fields.get('x-done')),
    },
  )
  assert.deepEqual([said.text, [...said.payload], said.number], [LONG, [0, 255], -1])
  assert.deepEqual(seen, ['blue', 'yes'])
  assert.equal((await look({ text: 'ü' })).text, 'ü')
  let count = 0
  for await (const { payload } of expand({ count: 100, payloadBytes: 2_000 })) {
    count += payload.length
  }
  assert.equal(count, 200_000)
  for await (const _ of expand({ count: 0 })) assert.fail('a message came')
  assert.equal((await collect(['a', LONG].map((text) => ({ text })))).count, 2)
  if (version === '2') {
    const answers: string[] = []
    for await (const { text } of chat(['a', LONG, 'c'].map((text) => ({ text }))))
      answers.push(text)
    assert.deepEqual(answers, ['a', LONG, 'c'])
  }
  await assert.rejects(fail({ code: 9, message: 'no ü', withDetails: true }), (error) => {
    assert.ok(error instanceof GrpcError)
    assert.deepEqual([error.status, error.grpcMessage], ['FAILED_PRECONDITION', 'no ü'])
    assert.deepEqual(
      error.find(ErrorInfoSchema).map(({ reason }) => reason),
      ['because'],
    )
    assert.equal(error.metadata.get('x-failed'), 'yes')
    return true
  })
  await assert.rejects(iterate(expand({ count: 3, failAfter: 2, failCode: 15 })), {
    status: 'DATA_LOSS',
  })
  await assert.rejects(say({ delayMs: 60_000 }, { timeoutMs: 50 }), /deadline/i)
}

// --- a page

test(`a page in Chromium ${chromium.version} calls by connect-web, also from another origin`, {
  skip: chromium.skip,
}, async () => {
  const script = await pageScript()
  const pages: HttpService = (request) =>
    request.target === '/'
      ? new HttpResponse({
          fields: { 'content-type': 'text/html' },
          body: `<!doctype html><title>calls</title><script type="module">${script}</script>`,
        })
      : new HttpResponse({ status: request.target === '/favicon.ico' ? 204 : 404 })
  await using other = await serve(pages)
  await using served = await serve(
    rpcServer([ourEcho()], {
      next: pages,
      cors: {
        origins: [other.url],
        allowFields: ['x-tenant'],
        exposeFields: ['x-seen', 'trailer-x-done'],
      },
    }),
  )
  for (const url of [served.url, other.url]) {
    const { browser, page, complaints } = await openPage(chromium.path, url)
    try {
      const told = await page.evaluate(
        (target) =>
          (globalThis as unknown as { call(url: string): Promise<string[]> }).call(target),
        served.url,
      )
      assert.deepEqual(told, PROTOCOLS_OF_PAGE.flatMap(expected), url)
      // What fails on purpose is told by the browser too: a status of 400 and above.
      assert.deepEqual(
        complaints.filter((one) => !/status of (404|400)/.test(one)),
        [],
      )
    } finally {
      await browser.close()
    }
  }
})

const PROTOCOLS_OF_PAGE = ['Connect', 'Connect with GET', 'gRPC-Web', 'gRPC-Web in JSON']

function expected(name: string): string[] {
  return [
    `${name}: say héllo 300 bytes blue yes`,
    `${name}: expand 0 1 2`,
    `${name}: fail NotFound no such ü because`,
  ]
}

async function pageScript(): Promise<string> {
  const result = await build({
    stdin: { contents: PAGE, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
    absWorkingDir: join(import.meta.dirname, '..'),
  })
  return result.outputFiles[0]?.text.replaceAll('</script', '<\\/script') ?? ''
}

const PAGE = `
import { createClient, ConnectError, Code } from '@connectrpc/connect'
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web'
import { ErrorInfoSchema } from '../src/protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { Echo } from '../test/fixtures/echo/echo_pb.ts'
window.call = async (baseUrl) => {
  const told = []
  const transports = {
    'Connect': createConnectTransport({ baseUrl }),
    'Connect with GET': createConnectTransport({ baseUrl, useHttpGet: true, useBinaryFormat: true }),
    'gRPC-Web': createGrpcWebTransport({ baseUrl }),
    'gRPC-Web in JSON': createGrpcWebTransport({ baseUrl, useBinaryFormat: false }),
  }
  for (const [name, transport] of Object.entries(transports)) {
    const client = createClient(Echo, transport)
    let header, trailer
    const said = await client.say({ text: 'héllo', payload: new Uint8Array(300) }, {
      headers: { 'x-tenant': 'blue' },
      onHeader: (fields) => { header = fields.get('x-seen') },
      onTrailer: (fields) => { trailer = fields.get('x-done') },
    })
    told.push([name + ': say', said.text, said.payload.length, 'bytes', header, trailer].join(' '))
    const numbers = []
    for await (const { number } of client.expand({ count: 3 })) numbers.push(number)
    told.push(name + ': expand ' + numbers.join(' '))
    await client.look({ text: 'x' })
    try {
      await client.fail({ code: 5, message: 'no such ü', withDetails: true })
    } catch (error) {
      const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema)
      told.push(name + ': fail ' + Code[error.code] + ' ' + error.rawMessage + ' ' + info.reason)
    }
  }
  return told
}
`

// --- services

function ourEcho(): GrpcService {
  return grpcService(Echo, {
    async say({ text, payload, number, delayMs }, context) {
      if (delayMs > 0) await new Promise((resolve) => context.onCancel(resolve))
      const tenant = context.requestMetadata.get('x-tenant')
      if (tenant !== undefined) context.responseHeaders.set('x-seen', tenant)
      context.responseTrailers.set('x-done', 'yes')
      return { text, payload, number }
    },
    look: ({ text }) => ({ text }),
    async *expand({ count, payloadBytes, failAfter, failCode }) {
      const payload = new Uint8Array(payloadBytes)
      for (let number = 0; number < count; number++) {
        if (failAfter > 0 && number === failAfter) throw new GrpcError(failCode as 15, 'late')
        yield { number, payload }
      }
    },
    async collect(requests) {
      let count = 0
      for await (const _ of requests) count++
      return { count }
    },
    async *chat(requests) {
      for await (const { text } of requests) yield { text }
    },
    fail({ code, message, withDetails }) {
      throw new GrpcError(code as 5, message, {
        metadata: { 'x-failed': 'yes' },
        details: withDetails ? [[ErrorInfoSchema, { reason: 'because' }]] : [],
      })
    },
  })
}

function routes(router: ConnectRouter): void {
  router.service(Echo, {
    async say({ text, payload, number, delayMs }, context) {
      if (delayMs > 0)
        await new Promise((_, reject) =>
          context.signal.addEventListener('abort', () => reject(context.signal.reason)),
        )
      context.responseHeader.set('x-seen', context.requestHeader.get('x-tenant') ?? '')
      context.responseTrailer.set('x-done', 'yes')
      return { text, payload, number }
    },
    look: ({ text }) => ({ text }),
    async *expand({ count, payloadBytes, failAfter, failCode }) {
      const payload = new Uint8Array(payloadBytes)
      for (let number = 0; number < count; number++) {
        if (failAfter > 0 && number === failAfter) throw new ConnectError('late', failCode)
        yield { number, payload }
      }
    },
    async collect(requests) {
      let count = 0
      for await (const _ of requests) count++
      return { count }
    },
    async *chat(requests) {
      for await (const { text } of requests) yield { text }
    },
    fail({ code, message, withDetails }) {
      const details = withDetails ? [{ desc: ErrorInfoSchema, value: { reason: 'because' } }] : []
      throw new ConnectError(message, code, { 'x-failed': 'yes' }, details)
    },
  })
}

// --- servers and helpers

async function serve(service: HttpService) {
  const server = httpServer(service)
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  return {
    url: `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`,
    [Symbol.asyncDispose]: () => server.close({ signal: AbortSignal.timeout(1_000) }),
  }
}

async function serveNode(server: Server & { closeAllConnections?(): void }) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections?.()
      server.close()
    },
  }
}

async function* stream<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items
}

async function iterate(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

async function rejects(call: Promise<unknown>, code: Code): Promise<void> {
  await assert.rejects(call, (error) => {
    const { code: got, rawMessage } = ConnectError.from(error)
    assert.equal(Code[got], Code[code], rawMessage)
    return true
  })
}
