/**
 * Runs a Node request listener `(IncomingMessage, ServerResponse) => void` as an `HttpService`:
 * Express, Fastify, Koa, anything written for `node:http`.
 *
 *     httpServer(nodeHandler(expressApp))
 *     httpServer(nodeHandler((req, res) => fastifyApp.routing(req, res)))
 *
 * The objects are real `IncomingMessage`s and `ServerResponse`s (frameworks change their prototypes
 * and look inside), without a socket of Node's below: what they write becomes an `HttpResponse`.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Address } from '../../core/address.ts'
import { Channel } from '../../core/channel.ts'
import type { CallContext } from '../../core/context.ts'
import { ClosedError, toError } from '../../core/errors.ts'
import type { Flow } from '../../core/flow.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'

export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown

export function nodeHandler(listener: NodeListener): HttpService {
  return (request, context) =>
    new Promise<HttpResponse>((resolve, reject) => {
      const incoming = toIncomingMessage(request, context)
      const bridge = new ResponseBridge(incoming, request, resolve)
      const settle = context.onCancel((reason) => {
        incoming.destroy(reason)
        bridge.abort(reason)
        reject(reason)
      })
      bridge.response.once('close', settle)
      try {
        const result = listener(incoming, bridge.response)
        // An async listener that throws would otherwise be an unhandled rejection.
        if (result instanceof Promise) result.catch((error) => bridge.fail(toError(error), reject))
      } catch (error) {
        bridge.fail(toError(error), reject)
      }
    })
}

function toIncomingMessage(request: HttpRequest, context: CallContext): IncomingMessage {
  const incoming = new IncomingMessage(socketFacade(request))
  const [major = '1', minor = '0'] = request.version.split('.')
  incoming.method = request.method
  incoming.url = request.target
  incoming.httpVersion = `${major}.${minor}`
  incoming.httpVersionMajor = Number(major)
  incoming.httpVersionMinor = Number(minor)
  const fields = request.fields.toFlat()
  if (request.version !== '1.1') fields.push(...impliedFields(request))
  addFields(incoming, fields)
  feed(incoming, request, context)
  return incoming
}

/** What HTTP/2 says in other ways, and frameworks look for in fields: the host, and that a body comes. */
function impliedFields(request: HttpRequest): string[] {
  const { fields, authority, body } = request
  const implied: string[] = []
  if (authority !== '' && !fields.has('host')) implied.push('host', authority)
  if (!body.isEmpty && !fields.has('content-length') && !fields.has('transfer-encoding')) {
    implied.push('transfer-encoding', 'chunked')
  }
  return implied
}

/**
 * Node's own way in, the one its parser uses: it feeds `headers`, `headersDistinct` and `rawHeaders`
 * alike, or the trailers once the message is complete.
 */
function addFields(incoming: IncomingMessage, flat: string[]): void {
  const target = incoming as IncomingMessage & {
    _addHeaderLines(flat: string[], count: number): void
  }
  target._addHeaderLines(flat, flat.length)
}

/** Lets the body flow into the readable side, under its demand. */
function feed(incoming: IncomingMessage, request: HttpRequest, context: CallContext): void {
  const { body } = request
  if (body.isEmpty) {
    incoming.complete = true
    incoming.push(null)
    incoming._read = () => {}
    return
  }
  let flow: Flow | undefined
  const open = (): Flow =>
    body.open({
      // Readers of a Node stream keep their chunks: ours are borrowed.
      write: (chunk) => incoming.push(Buffer.from(chunk)),
      end() {
        incoming.complete = true
        if (body.trailers !== undefined) addFields(incoming, body.trailers.toFlat())
        incoming.push(null)
      },
      fail: (reason) => void incoming.destroy(reason),
    })
  incoming._read = () => {
    flow ??= open()
    flow.resume()
  }
  incoming._destroy = (error, callback) => {
    if (!incoming.complete && !context.cancelled) flow?.cancel(error ?? undefined)
    callback(error)
  }
}

/**
 * A `ServerResponse` whose output is ours. The methods are own properties, because Express replaces
 * the prototype of what it is given; header state stays in the base class, where frameworks look.
 */
class ResponseBridge {
  readonly response: ServerResponse
  readonly #resolve: (response: HttpResponse) => void
  readonly #hasBody: boolean
  #channel: Channel<Uint8Array> | undefined
  #pending: Buffer[] = []
  #pendingBytes = 0
  #headSent = false
  #ended = false
  #finished = false

  constructor(
    incoming: IncomingMessage,
    request: HttpRequest,
    resolve: (response: HttpResponse) => void,
  ) {
    this.response = new ServerResponse(incoming)
    this.#resolve = resolve
    this.#hasBody = request.method !== 'HEAD'
    this.#override(incoming, request)
  }

  /** Thrown before anything was answered: the server maps the error. After it: the body is cut. */
  fail(error: Error, reject: (reason: Error) => void): void {
    if (this.#headSent) this.#channel?.fail(error)
    else {
      this.#headSent = true
      reject(error)
    }
    this.#close()
  }

  abort(reason: Error): void {
    this.#headSent = true
    this.#channel?.fail(reason)
    this.#close()
  }

  #override(incoming: IncomingMessage, request: HttpRequest): void {
    const { response } = this
    const { socket } = incoming
    const own = {
      writeHead: (status: number, a?: unknown, b?: unknown) => this.#writeHead(status, a, b),
      write: (chunk: unknown, encoding?: unknown, done?: unknown) =>
        this.#write(chunk, encoding, done),
      end: (chunk?: unknown, encoding?: unknown, done?: unknown) =>
        this.#end(chunk, encoding, done),
      flushHeaders: () => {
        if (!this.#headSent) response.writeHead(response.statusCode)
        this.#sendHead(undefined)
      },
      _implicitHeader: () => void response.writeHead(response.statusCode),
      writeContinue: () => request.inform?.(100),
      writeProcessing: () => request.inform?.(102),
      writeEarlyHints: (hints: Record<string, string | string[]>, done?: () => void) => {
        request.inform?.(103, hints)
        done?.()
      },
      destroy: (error?: Error) => {
        this.abort(error ?? new ClosedError('ERR_CLOSED', 'the response was destroyed'))
        return response
      },
    }
    for (const [name, value] of Object.entries(own)) {
      Object.defineProperty(response, name, { value, writable: true, configurable: true })
    }
    const getters = {
      headersSent: () => this.#headStarted,
      writableEnded: () => this.#ended,
      writableFinished: () => this.#finished,
      writableNeedDrain: () => this.#pendingBytes > HIGH_WATER_MARK_BYTES,
      writableLength: () => this.#pendingBytes,
      finished: () => this.#ended,
      socket: () => socket,
      connection: () => socket,
    }
    for (const [name, get] of Object.entries(getters)) {
      Object.defineProperty(response, name, { get, set() {}, configurable: true })
    }
  }

  #headStarted = false
  #statusText: string | undefined

  #writeHead(status: number, a: unknown, b: unknown): ServerResponse {
    const { response } = this
    this.#headStarted = true
    response.statusCode = status
    if (typeof a === 'string') this.#statusText = a
    const headers = typeof a === 'string' ? b : a
    if (Array.isArray(headers)) {
      const flat = Array.isArray(headers[0]) ? headers.flat(1) : headers
      for (let at = 0; at < flat.length; at += 2) response.appendHeader(flat[at], flat[at + 1])
    } else if (headers !== null && typeof headers === 'object') {
      for (const [name, value] of Object.entries(headers)) {
        if (value !== undefined) response.setHeader(name, value)
      }
    }
    return response
  }

  #write(chunk: unknown, encoding: unknown, done: unknown): boolean {
    if (this.#ended) return false
    if (!this.#headStarted) this.response.writeHead(this.response.statusCode)
    this.#queue(chunk, encoding, done)
    this.#sendHead(undefined)
    this.#pump()
    return this.#pendingBytes <= HIGH_WATER_MARK_BYTES
  }

  #end(chunk: unknown, encoding: unknown, done: unknown): ServerResponse {
    const { response } = this
    if (typeof chunk === 'function') return this.#end(undefined, undefined, chunk)
    if (this.#ended) return response
    if (!this.#headStarted) response.writeHead(response.statusCode)
    if (typeof encoding === 'function') response.once('finish', encoding as () => void)
    else if (typeof done === 'function') response.once('finish', done as () => void)
    const hadBody = this.#channel !== undefined
    if (chunk !== undefined && chunk !== null) this.#queue(chunk, encoding, undefined)
    this.#ended = true
    if (!hadBody) {
      // Everything is here: one complete message, with its length.
      const whole = Buffer.concat(this.#pending)
      this.#pending = []
      this.#pendingBytes = 0
      this.#sendHead(whole)
      this.#finish()
    } else this.#pump()
    return response
  }

  #queue(chunk: unknown, encoding: unknown, done: unknown): void {
    const callback = typeof encoding === 'function' ? encoding : done
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
        : Buffer.from(chunk as Uint8Array)
    if (typeof callback === 'function') queueMicrotask(callback as () => void)
    if (!this.#hasBody || bytes.length === 0) return
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
  }

  #sendHead(whole: Buffer | undefined): void {
    if (this.#headSent) return
    this.#headSent = true
    const { response } = this
    const list: string[] = []
    let length: number | undefined
    for (const name of response.getHeaderNames()) {
      // Framing is the session's business; a stated length is kept as a promise to check.
      if (name === 'transfer-encoding' || name === 'connection' || name === 'keep-alive') continue
      const value = response.getHeader(name)
      if (name === 'content-length') length = Number(value)
      for (const one of Array.isArray(value) ? value : [String(value)]) list.push(name, one)
    }
    let body: Body | undefined
    if (whole === undefined) {
      this.#channel = new Channel<Uint8Array>(
        () => this.#pump(),
        (reason) => this.abort(reason ?? new ClosedError('ERR_CLOSED', 'nobody reads the body')),
      )
      body = Body.from(this.#channel, length)
    } else if (whole.length > 0) body = Body.from(whole)
    this.#resolve(
      new HttpResponse({
        status: response.statusCode,
        ...((this.#statusText ?? response.statusMessage) && {
          reason: this.#statusText ?? response.statusMessage,
        }),
        fields: new HttpFields(pairs(list)),
        body,
      }),
    )
  }

  #pump(): void {
    const channel = this.#channel
    if (channel === undefined) return
    const needed = this.#pendingBytes > HIGH_WATER_MARK_BYTES
    while (channel.flowing && this.#pending.length > 0) {
      const chunk = this.#pending.shift() as Buffer
      this.#pendingBytes -= chunk.length
      channel.write(chunk)
    }
    if (this.#pending.length > 0) return
    if (!this.#ended) {
      if (needed) queueMicrotask(() => this.response.emit('drain'))
      return
    }
    if (this.#finished) return
    channel.end()
    this.#finish()
  }

  #finish(): void {
    this.#finished = true
    queueMicrotask(() => {
      this.response.emit('finish')
      this.#close()
    })
  }

  #closed = false
  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    this.response.emit('close')
  }
}

/** What frameworks ask of `req.socket`: addresses and whether it is encrypted. It carries nothing. */
function socketFacade(request: HttpRequest): Socket {
  const facts = request.connection?.facts
  const facade = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const { host: remoteAddress, port: remotePort } = hostAndPort(facts?.remote)
  const { host: localAddress, port: localPort } = hostAndPort(facts?.local)
  Object.assign(facade, {
    remoteAddress,
    remotePort,
    localAddress,
    localPort,
    encrypted: facts?.tls !== undefined,
    setTimeout: () => facade,
    setNoDelay: () => facade,
    setKeepAlive: () => facade,
    ref: () => facade,
    unref: () => facade,
  })
  return facade as unknown as Socket
}

function hostAndPort(address: Address | undefined): {
  host: string | undefined
  port: number | undefined
} {
  if (address?.kind !== 'ip') return { host: undefined, port: undefined }
  return { host: address.host, port: address.port }
}

function* pairs(flat: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at < flat.length; at += 2) yield [flat[at] as string, flat[at + 1] as string]
}

/** As `node:http`: above it `write` returns false. */
const HIGH_WATER_MARK_BYTES = 16_384
