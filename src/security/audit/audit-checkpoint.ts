/**
 * A checkpoint: the number and hash of a record, in a file of its own. A log alone cannot show that
 * its end was cut off; together with a checkpoint it can, up to that record. It is worth as much as
 * the place it is kept in: copy it off the machine, or sign it (Ed25519, a key that only the writer
 * has), so that it cannot be made anew for a shorter log.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { type AuditAlgorithm, canonical, recordHash } from './audit-record.ts'

export interface AuditCheckpoint {
  readonly alg: AuditAlgorithm
  readonly seq: number
  readonly hash: string
  readonly ts: string
  /** HMAC with the log's key, where it has one. */
  readonly mac?: string
  /** Ed25519, base64. */
  readonly signature?: string
}

/** @returns a line of canonical JSON */
export function writeCheckpoint(
  at: { readonly alg: AuditAlgorithm; readonly seq: number; readonly hash: string },
  wallNow: number,
  key: KeyObject | undefined,
  signingKey: KeyObject | undefined,
): string {
  const ts = new Date(wallNow).toISOString()
  const { alg, seq, hash } = at
  const body = canonical({ alg, seq, hash, ts })
  const mac = key && recordHash(body, key)
  const signature = signingKey && sign(null, Buffer.from(body), signingKey).toString('base64')
  return `${canonical({ alg, seq, hash, ts, mac, signature })}\n`
}

/**
 * @param key the log's, where it has one
 * @param publicKey wants a signature by it
 * @returns the checkpoint, or why it is not to be believed
 */
export function readCheckpoint(
  text: string,
  key: KeyObject | undefined,
  publicKey: KeyObject | undefined,
): AuditCheckpoint | string {
  let value: AuditCheckpoint
  try {
    value = JSON.parse(text) as AuditCheckpoint
  } catch {
    return 'it is not a checkpoint'
  }
  if (!Number.isSafeInteger(value?.seq) || typeof value.hash !== 'string') {
    return 'it is not a checkpoint'
  }
  const { mac, signature, ...rest } = value
  const body = canonical(rest)
  if (key !== undefined && mac !== recordHash(body, key)) return 'its MAC is not that of the key'
  if (publicKey === undefined) return value
  if (signature === undefined) return 'it is not signed'
  const valid = verify(null, Buffer.from(body), publicKey, Buffer.from(signature, 'base64'))
  return valid ? value : 'its signature is not that of the key'
}

/** A private key will do as well: only its public half is used. */
export function readPublicKey(pem: string): KeyObject {
  return createPublicKey(pem)
}
