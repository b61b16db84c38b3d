/**
 * Certificates for development and tests: an authority made on the spot, and what it signs.
 *
 *     const authority = await DevAuthority.create(clock)
 *     const { certificate, key } = await authority.issue({ names: ['localhost', '127.0.0.1'] })
 *
 * Keys are ECDSA P-256 and never leave the process unless the caller writes them somewhere.
 */
// The certificate library needs this loaded first.
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509'
import type { Clock } from '../core/clock.ts'
import { checkInteger } from '../core/errors.ts'

export interface IssueOptions {
  /**
   * DNS names, IP addresses and URIs (SPIFFE) it is for; the first is its subject as well.
   *
   * @default localhost, 127.0.0.1 and ::1
   */
  names?: readonly string[]
  /** @default 'server' */
  usage?: 'server' | 'client'
  /** Days until it expires; negative: it has. @default 90 */
  validDays?: number
}

export const issueDefaults: Readonly<Required<IssueOptions>> = Object.freeze({
  names: Object.freeze(['localhost', '127.0.0.1', '::1']),
  usage: 'server',
  validDays: 90, // longer than any machine for development keeps one process
})

/** PEM throughout, as the TLS transport takes it. */
export interface DevCertificate {
  /** The certificate, then its authority's. */
  readonly certificate: string
  readonly key: string
  /** The authority's certificate, to be trusted by peers. */
  readonly ca: string
}

export class DevAuthority {
  readonly #clock: Clock
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #certificate: X509Certificate

  private constructor(clock: Clock, keys: webcrypto.CryptoKeyPair, certificate: X509Certificate) {
    this.#clock = clock
    this.#keys = keys
    this.#certificate = certificate
  }

  /** @param name shown in the subject, so that somebody who finds it trusted knows what it is */
  static async create(clock: Clock, name = 'heddle development authority'): Promise<DevAuthority> {
    const keys = await newKeys()
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        name: `CN=${escapeName(name)}`,
        serialNumber: newSerial(),
        ...validity(clock, AUTHORITY_DAYS),
        keys,
        signingAlgorithm: SIGNING,
        extensions: [
          new BasicConstraintsExtension(true, 0, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
          await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as Crypto),
        ],
      },
      webcrypto as Crypto,
    )
    return new DevAuthority(clock, keys, certificate)
  }

  get ca(): string {
    return pem(this.#certificate)
  }

  async issue(options: IssueOptions = {}): Promise<DevCertificate> {
    const {
      names = issueDefaults.names,
      usage = issueDefaults.usage,
      validDays = issueDefaults.validDays,
    } = options
    checkInteger('validDays', validDays, -3_650, 3_650)
    const keys = await newKeys()
    const extensions: Extension[] = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([
        usage === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
      ]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: nameType(value), value }))),
      await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as Crypto),
      await AuthorityKeyIdentifierExtension.create(
        this.#keys.publicKey,
        false,
        webcrypto as Crypto,
      ),
    ]
    const certificate = await X509CertificateGenerator.create(
      {
        subject: `CN=${escapeName(names[0] ?? 'unnamed')}`,
        issuer: this.#certificate.subject,
        serialNumber: newSerial(),
        ...validity(this.#clock, validDays),
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: SIGNING,
        extensions,
      },
      webcrypto as Crypto,
    )
    return {
      certificate: `${pem(certificate)}${this.ca}`,
      key: await keyPem(keys.privateKey),
      ca: this.ca,
    }
  }

  /** The list of what this authority has revoked, PEM, good for a day. */
  async revocationList(revoked: readonly string[]): Promise<string> {
    const now = this.#clock.wallNow()
    const list = await X509CrlGenerator.create(
      {
        issuer: this.#certificate.subject,
        thisUpdate: new Date(now - HOUR_MS),
        nextUpdate: new Date(now + DAY_MS),
        entries: revoked.map((certificate) => ({
          serialNumber: new X509Certificate(certificate).serialNumber,
          revocationDate: new Date(now - HOUR_MS),
        })),
        signingAlgorithm: SIGNING,
        signingKey: this.#keys.privateKey,
      },
      webcrypto as Crypto,
    )
    // The name that RFC 7468, section 6 gives the block; the library has another one.
    return `${list.toString('pem').replace(/(BEGIN|END) CRL/g, '$1 X509 CRL')}\n`
  }
}

function nameType(value: string): 'dns' | 'ip' | 'url' {
  if (value.includes('://')) return 'url'
  return isIP(value) === 0 ? 'dns' : 'ip'
}

/** A certificate for this machine under an authority of its own: what a development server shows. */
export async function createDevCertificate(
  clock: Clock,
  options: IssueOptions = {},
): Promise<DevCertificate> {
  return (await DevAuthority.create(clock)).issue(options)
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

/** Positive and not too long (RFC 5280, section 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** From an hour ago, because clocks differ; an expired one ended `days` ago. */
function validity(clock: Clock, days: number): { notBefore: Date; notAfter: Date } {
  const now = clock.wallNow()
  const end = now + days * DAY_MS
  return { notBefore: new Date(Math.min(now, end) - HOUR_MS), notAfter: new Date(end) }
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

/** Characters with a meaning in a distinguished name (RFC 4514). */
function escapeName(name: string): string {
  return name.replace(/[,+"\\<>;=#]/g, '\\$&')
}

const SIGNING = { name: 'ECDSA', hash: 'SHA-256' }
const AUTHORITY_DAYS = 365
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
