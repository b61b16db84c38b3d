/**
 * Whatever a peer says: a login that goes on, or one that failed for good, never an exception, and
 * never an acceptance that was not earned.
 */
import type { HashName, PasswordCrypto } from '../../core/password-crypto.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { PlainServer } from './plain.ts'
import { saslprep } from './saslprep.ts'
import { ScramClient } from './scram-client.ts'
import { UTF8 } from './scram-keys.ts'
import { ScramServer } from './scram-server.ts'

export const samples: readonly Uint8Array[] = [
  'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
  'p=tls-exporter,a=x,n=a=2Cb,r=abc',
  'r=nonceserver,s=QSXCR+Q6sek8bf92,i=4096',
  'c=biws,r=nonceserver,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
  'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  'e=other-error',
  '\0tim\0tanstaaftanstaaf',
].map((text) => UTF8.encode(text))

export function fuzz(seed: number, bytes: Uint8Array): void {
  const client = new ScramClient({
    mechanism: 'SCRAM-SHA-256',
    crypto,
    name: 'user',
    password: 'pencil',
    nonce: 'nonce',
  })
  client.start(() => {})
  for (const part of parts(seed, bytes)) client.step(part, () => {})
  if (client.complete) throw new Error('a server that knows nothing was believed')
  const server = new ScramServer({
    mechanism: seed % 2 === 0 ? 'SCRAM-SHA-256' : 'SCRAM-SHA-256-PLUS',
    crypto,
    credentialOf: (_name, done) => done(undefined),
    decoySecret: new Uint8Array(32),
    nonce: 'server',
  })
  for (const part of parts(seed, bytes)) {
    server.step(part, (outcome) => {
      if (outcome.type === 'accepted') throw new Error('a name that nobody has was accepted')
    })
  }
  new PlainServer({ verify: (_name, _password, done) => done(undefined) }).step(bytes, () => {})
  const text = new TextDecoder().decode(bytes)
  const prepared = saslprep(text)
  if (prepared !== undefined && saslprep(prepared) !== prepared)
    throw new Error('not the same twice')
  const decoded = decodeBase64(text)
  if (decoded !== undefined && encodeBase64(decoded) !== text)
    throw new Error('two texts, one meaning')
}

/** One or two messages of the same bytes. */
function parts(seed: number, bytes: Uint8Array): Uint8Array[] {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  return [bytes.subarray(0, cut), bytes.subarray(cut), bytes]
}

/** Fast and of no strength: what is fuzzed is what stands around it. */
const crypto: PasswordCrypto = {
  hash: (algorithm, data) => mix(algorithm, data),
  hmac: (algorithm, key, data) => mix(algorithm, Uint8Array.of(...key, ...data)),
  pbkdf2: (algorithm, password, _salt, _iterations, done) =>
    done(undefined, mix(algorithm, password)),
  equal: (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]),
  randomBytes: (into) => void into.fill(7),
}

function mix(algorithm: HashName, data: Uint8Array): Uint8Array {
  const mixed = new Uint8Array(algorithm === 'sha-1' ? 20 : 32)
  let state = 0x811c9dc5
  for (let at = 0; at < data.length + mixed.length; at++) {
    state = Math.imul(state ^ (data[at % (data.length || 1)] ?? 0) ^ at, 0x01000193)
    mixed[at % mixed.length] = state >>> 24
  }
  return mixed
}
