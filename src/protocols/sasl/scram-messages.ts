/**
 * The messages of SCRAM (RFC 5802 section 7), as text with attributes in a fixed order:
 *
 *     client-first   gs2-header n=<name>,r=<nonce>            gs2-header: n,, | y,, | p=<type>,,
 *     server-first   r=<nonce><more>,s=<salt>,i=<iterations>
 *     client-final   c=<gs2-header and binding>,r=<nonce>,p=<proof>
 *     server-final   v=<signature> | e=<error>
 *
 * Unknown attributes behind the known ones are skipped, `m=` (mandatory extensions) is refused, as
 * the RFC wants. Nothing here throws: undefined is what cannot be understood.
 */
import { decodeBase64 } from './base64.ts'

export interface ClientFirst {
  readonly gs2Header: string
  /** `n`: no binding; `y`: the client could, but thinks the server cannot; or the type used. */
  readonly binding: 'n' | 'y' | { readonly type: string }
  /** To act as, if it is somebody else. */
  readonly authorizationId: string | undefined
  readonly bare: string
  readonly name: string
  readonly nonce: string
}

export interface ServerFirst {
  readonly nonce: string
  readonly salt: Uint8Array
  readonly iterations: number
}

export interface ClientFinal {
  readonly withoutProof: string
  readonly channel: Uint8Array
  readonly nonce: string
  readonly proof: Uint8Array
}

export function parseClientFirst(text: string): ClientFirst | undefined {
  const first = text.indexOf(',')
  const second = text.indexOf(',', first + 1)
  if (first < 0 || second < 0) return undefined
  const flag = text.slice(0, first)
  const given = text.slice(first + 1, second)
  const bare = text.slice(second + 1)
  const binding = parseBindingFlag(flag)
  const authorizationId = given === '' ? undefined : parseName(given, 'a')
  if (binding === undefined || (given !== '' && authorizationId === undefined)) return undefined
  const [name, nonce] = bare.split(',', 3)
  const parsedName = name === undefined ? undefined : parseName(name, 'n')
  const parsedNonce = nonce === undefined ? undefined : parseNonce(nonce)
  if (parsedName === undefined || parsedNonce === undefined) return undefined
  return {
    gs2Header: text.slice(0, second + 1),
    binding,
    authorizationId,
    bare,
    name: parsedName,
    nonce: parsedNonce,
  }
}

export function parseServerFirst(text: string): ServerFirst | undefined {
  const [r, s, i] = text.split(',', 4)
  const nonce = r === undefined ? undefined : parseNonce(r)
  const salt = s?.startsWith('s=') ? decodeBase64(s.slice(2)) : undefined
  const iterations = /^i=([1-9]\d{0,9})$/.exec(i ?? '')?.[1]
  if (nonce === undefined || salt === undefined || iterations === undefined) return undefined
  if (salt.length === 0 || salt.length > MAX_SALT) return undefined
  return { nonce, salt, iterations: Number(iterations) }
}

export function parseClientFinal(text: string): ClientFinal | undefined {
  const at = text.lastIndexOf(',p=')
  if (at < 0) return undefined
  const withoutProof = text.slice(0, at)
  const proof = decodeBase64(text.slice(at + 3))
  const [c, r] = withoutProof.split(',', 3)
  const channel = c?.startsWith('c=') ? decodeBase64(c.slice(2)) : undefined
  const nonce = r === undefined ? undefined : parseNonce(r)
  if (proof === undefined || channel === undefined || nonce === undefined) return undefined
  return { withoutProof, channel, nonce, proof }
}

/** @returns the signature, the server's error, or undefined for neither */
export function parseServerFinal(
  text: string,
): { readonly signature: Uint8Array } | { readonly error: string } | undefined {
  const [first = ''] = text.split(',', 1)
  if (first.startsWith('e=')) return { error: first.slice(2, 2 + MAX_ERROR) }
  const signature = first.startsWith('v=') ? decodeBase64(first.slice(2)) : undefined
  return signature === undefined ? undefined : { signature }
}

/** `,` and `=` have a meaning of their own. */
export function escapeName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}

/** Printable ASCII without comma, so that it stands where it is put. */
export function isNonce(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]{1,512}$/.test(text)
}

function parseBindingFlag(flag: string): ClientFirst['binding'] | undefined {
  if (flag === 'n' || flag === 'y') return flag
  const type = /^p=([A-Za-z0-9.-]{1,64})$/.exec(flag)?.[1]
  return type === undefined ? undefined : { type }
}

function parseName(attribute: string, letter: 'a' | 'n'): string | undefined {
  if (!attribute.startsWith(`${letter}=`)) return undefined
  const escaped = attribute.slice(2)
  if (escaped === '' || escaped.length > MAX_NAME || /=(?!2C|3D)/.test(escaped)) return undefined
  const name = escaped.replaceAll('=2C', ',').replaceAll('=3D', '=')
  return name.includes('\0') ? undefined : name
}

function parseNonce(attribute: string): string | undefined {
  const nonce = attribute.startsWith('r=') ? attribute.slice(2) : ''
  return isNonce(nonce) ? nonce : undefined
}

/** Longest message that is looked at, in bytes. */
export const MAX_SCRAM_MESSAGE = 4_096
const MAX_NAME = 1_024
const MAX_SALT = 256
const MAX_ERROR = 64
