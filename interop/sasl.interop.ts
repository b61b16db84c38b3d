/**
 * SCRAM against another implementation: the client of node-postgres logs in to our server.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import {
  createScramCredential,
  nodePasswordCrypto,
  ScramServer,
  type ServerOutcome,
} from '../src/doors/protocols/sasl.ts'

interface Session {
  readonly mechanism: string
  response: string
}

/** Not in its types: what its connection does with AuthenticationSASL messages. */
const pg = createRequire(import.meta.url)('pg/lib/crypto/sasl') as {
  startSession(mechanisms: readonly string[]): Session
  continueSession(session: Session, password: string, serverData: string): Promise<void>
  finalizeSession(session: Session, serverData: string): void
}

// node-postgres sends no name: PostgreSQL has it from its startup message. Ours is told so.
const kept = await createScramCredential(nodePasswordCrypto, 'pencil', { iterations: 4_096 })

async function login(password: string): Promise<string> {
  const session = pg.startSession(['SCRAM-SHA-256'])
  const server = new ScramServer({
    mechanism: 'SCRAM-SHA-256',
    crypto: nodePasswordCrypto,
    credentialOf: (_name, done) => done(kept),
    decoySecret: new Uint8Array(32).fill(1),
  })
  const ask = (text: string): Promise<ServerOutcome> =>
    new Promise((done) => server.step(new TextEncoder().encode(text), done))
  const first = await ask(session.response)
  assert.ok(first.type === 'send')
  await pg.continueSession(session, password, new TextDecoder().decode(first.data))
  const last = await ask(session.response)
  if (last.type === 'accepted') pg.finalizeSession(session, new TextDecoder().decode(last.data))
  return last.type
}

test('node-postgres logs in by SCRAM, and is refused with a wrong password', async () => {
  assert.equal(await login('pencil'), 'accepted')
  assert.equal(await login('pen'), 'refused')
})
