/**
 * A self-signed certificate for the self-test, made on the spot: a private key in the source would
 * be found by every scanner of secrets. Ed25519, because nothing in its encoding has parameters.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface SelfSigned {
  readonly certificate: string
  readonly key: string
}

/** @param wallNow milliseconds since the epoch */
export function selfSigned(name: string, wallNow: number): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const subject = der(0x30, der(0x31, der(0x30, COMMON_NAME, der(0x0c, Buffer.from(name)))))
  const times = [wallNow - DAY_MS, wallNow + DAY_MS].map((at) => der(0x18, Buffer.from(time(at))))
  const serial = randomBytes(8)
  serial[0] = 1 // positive, and as short as DER wants it
  const alternative = der(0x30, der(0x82, Buffer.from(name, 'latin1')))
  const extension = der(0x30, SUBJECT_ALT_NAME, der(0x04, alternative))
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.of(2))), // version 3
    der(0x02, serial),
    ED25519,
    subject, // issuer
    der(0x30, ...times),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, extension)),
  )
  const signature = der(0x03, Buffer.of(0), sign(null, body, privateKey))
  const base64 = der(0x30, body, ED25519, signature).toString('base64')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** One element: tag, length, content. */
function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const whole = Buffer.concat(content)
  const { length } = whole
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), whole])
  const head = length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), whole])
}

/** GeneralizedTime. */
function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`
}

const COMMON_NAME = Buffer.from('0603550403', 'hex')
const SUBJECT_ALT_NAME = Buffer.from('0603551d11', 'hex')
const ED25519 = Buffer.from('300506032b6570', 'hex')
const DAY_MS = 86_400_000
