/**
 * Compares answers of servers before anything is timed: status, body, byte for byte, and that the
 * connection stays open. With `node:http`, which none of the load generators uses.
 */
import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
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
