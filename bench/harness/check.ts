/**
 * Compares answers of servers before anything is timed: status, body, byte for byte, and that the
 * connection stays open. With `node:http` and `node:http2`, which none of the load generators uses.
 */
import { once } from 'node:events'
import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { request as requestTls, Agent as TlsAgent } from 'node:https'

export interface Expected {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
  /** The body, or what must be true of it. */
  readonly answer: string | ((body: string) => void)
}

/** Asks twice, so that an answer that breaks the connection is noticed. */
export async function checkAnswer(port: number, tls: boolean, expected: Expected): Promise<void> {
  const options = { keepAlive: true, maxSockets: 1 }
  const agent = tls ? new TlsAgent({ ...options, rejectUnauthorized: false }) : new Agent(options)
  try {
    for (const attempt of ['first', 'second']) {
      const { status, body, reused } = await exchange(port, agent, tls, expected)
      const what = `${expected.method} ${expected.path}, ${attempt} time`
      if (status !== 200) throw new Error(`${what}: status ${status}`)
      if (attempt === 'second' && !reused) throw new Error(`${what}: the connection was not kept`)
      if (typeof expected.answer === 'function') expected.answer(body)
      else if (body !== expected.answer) {
        throw new Error(`${what}: body of ${body.length} characters is not the one expected`)
      }
    }
  } finally {
    agent.destroy()
  }
}

/** The same in HTTP/2 by prior knowledge, without a body. */
export async function checkHttp2Answer(port: number, expected: Expected): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`)
  const broken = once(session, 'close').then(() => {
    throw new Error('the connection was closed')
  })
  try {
    for (const attempt of ['first', 'second']) {
      const { status, body } = await Promise.race([exchangeHttp2(session, expected), broken])
      const what = `${expected.method} ${expected.path}, ${attempt} time`
      if (status !== 200) throw new Error(`${what}: status ${status}`)
      if (body !== expected.answer) throw new Error(`${what}: body ${JSON.stringify(body)}`)
    }
  } finally {
    broken.catch(() => {})
    session.destroy()
  }
}

function exchangeHttp2(
  session: ClientHttp2Session,
  { method, path }: Expected,
): Promise<Omit<Answer, 'reused'>> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': method, ':path': path })
    let status = 0
    let body = ''
    stream.setEncoding('latin1')
    stream.on('error', reject)
    stream.on('response', (headers) => (status = headers[':status'] ?? 0))
    stream.on('data', (chunk: string) => (body += chunk))
    stream.on('end', () => resolve({ status, body }))
  })
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly reused: boolean
}

function exchange(
  port: number,
  agent: Agent | TlsAgent,
  tls: boolean,
  expected: Expected,
): Promise<Answer> {
  const { method, path, body, headers } = expected
  return new Promise((resolve, reject) => {
    const call = tls ? requestTls : request
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const all = { ...length, ...headers }
    const outgoing = call({ host: '127.0.0.1', port, method, path, agent, headers: all })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => {
        const status = response.statusCode ?? 0
        resolve({ status, body: text, reused: outgoing.reusedSocket })
      })
    })
    outgoing.end(body)
  })
}
