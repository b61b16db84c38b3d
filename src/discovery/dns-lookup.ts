/**
 * Looking names up with Node, with the time that answers may be kept where DNS tells it.
 *
 * - A name in the hosts file is what that file says: an operator's override wins.
 * - Otherwise DNS is asked directly (c-ares): no thread is blocked, and answers bring their TTL.
 * - What DNS does not know is asked of the system (`getaddrinfo`: search domains, mDNS, NSS), which
 *   works on one of four threads and knows no TTL. `localhost` and names without a dot begin there.
 */
import { promises, lookup as systemLookup } from 'node:dns'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Clock } from '../core/clock.ts'
import { TransportError, toError } from '../core/errors.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { recordsFor } from '../protocols/dns/dns-message.ts'
import { type DnsQueryOptions, queryDns } from './dns-query.ts'

/** How the resolver asks. Tests bring their own. */
export interface DnsLookup {
  /** A and AAAA records of a host. @throws when there are none */
  addresses(host: string): Promise<readonly DnsAddress[]>
  /** SRV records of a service. @throws when there are none */
  services(name: string): Promise<readonly DnsService[]>
}

export interface DnsAddress {
  readonly address: string
  /** How long the answer may be kept; undefined: not told. */
  readonly ttlMs: number | undefined
}

export interface DnsService {
  readonly host: string
  readonly port: number
  /** 0 is preferred. */
  readonly priority: number
  readonly weight: number
  /** How long the record may be kept; undefined: not told. */
  readonly ttlMs?: number | undefined
}

export interface NodeDnsOptions {
  /**
   * Which addresses to ask for: `auto` leaves out a family that this machine has no address of,
   * as getaddrinfo's AI_ADDRCONFIG does.
   *
   * @default 'auto'
   */
  family?: 4 | 6 | 'auto'
  /** Name servers, `address` or `address:port`. @default the system's */
  servers?: readonly string[]
  /** Of one query to one server. @default 2_000 */
  queryTimeoutMs?: number
  /** Queries before giving up. @default 2 */
  tries?: number
  /** @default the system's */
  clock?: Clock
  /** @default the system's, `/etc/hosts` */
  hostsFile?: string
}

export const nodeDnsDefaults: Readonly<{ queryTimeoutMs: number; tries: number }> = Object.freeze({
  queryTimeoutMs: 2_000,
  tries: 2,
})

export function nodeDnsLookup(options: NodeDnsOptions = {}): DnsLookup {
  const { queryTimeoutMs = nodeDnsDefaults.queryTimeoutMs, tries = nodeDnsDefaults.tries } = options
  const { hostsFile = HOSTS_FILE, servers, family = 'auto', clock = systemClock } = options
  const resolver = new promises.Resolver({ timeout: queryTimeoutMs, tries })
  if (servers !== undefined) resolver.setServers(servers)
  return {
    async addresses(host) {
      const families = family === 'auto' ? ownFamilies() : [family]
      const overridden = await hostsFileAddresses(hostsFile, host, families)
      if (overridden.length > 0) return overridden
      // Search domains, where short names live, are known to the system only.
      if (!host.includes('.') || host.endsWith('.localhost')) return askSystem(host, families)
      const [answers, failure] = await askServers(resolver, host, families)
      if (answers.length > 0) return answers
      try {
        return await askSystem(host, families)
      } catch {
        throw failure ?? noAddress(host)
      }
    },
    async services(name) {
      try {
        return await askServices(name, { servers, queryTimeoutMs, tries, clock, host: nodeHost })
      } catch (error) {
        throw lookupError(name, error)
      }
    },
  }
}

/** Asks for both kinds at once. An error counts only when no family has an answer. */
async function askServers(
  resolver: promises.Resolver,
  host: string,
  families: readonly (4 | 6)[],
): Promise<[DnsAddress[], TransportError | undefined]> {
  const outcomes = await Promise.allSettled(
    families.map((family) =>
      family === 4
        ? resolver.resolve4(host, { ttl: true })
        : resolver.resolve6(host, { ttl: true }),
    ),
  )
  const answers: DnsAddress[] = []
  let failure: TransportError | undefined
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') failure ??= lookupError(host, outcome.reason)
    else for (const { address, ttl } of outcome.value) answers.push({ address, ttlMs: ttl * 1_000 })
  }
  return [answers, failure]
}

/** SRV records, with the TTL that Node's resolver does not give. */
async function askServices(name: string, options: DnsQueryOptions): Promise<DnsService[]> {
  const records = recordsFor(await queryDns(name, 'SRV', options), 'SRV')
  // A single target that is the root means that there is no such service (RFC 2782).
  const services = records.filter(({ target }) => target !== '')
  if (services.length === 0) {
    const none: NodeJS.ErrnoException = new Error('no SRV record')
    none.code = 'ENODATA'
    throw none
  }
  return services.map(({ target: host, port, priority, weight, ttl }) => {
    return { host, port, priority, weight, ttlMs: ttl * 1_000 }
  })
}

function askSystem(host: string, families: readonly (4 | 6)[]): Promise<readonly DnsAddress[]> {
  return new Promise((resolve, reject) => {
    const family = families.length === 1 ? (families[0] as 4 | 6) : 0
    systemLookup(host, { all: true, family }, (error, found) => {
      if (error !== null) return reject(lookupError(host, error))
      if (found.length === 0) return reject(noAddress(host))
      resolve(found.map(({ address }) => ({ address, ttlMs: undefined })))
    })
  })
}

async function hostsFileAddresses(
  file: string,
  host: string,
  families: readonly (4 | 6)[],
): Promise<DnsAddress[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    return [] // Most machines of some kinds have none.
  }
  return addressesInHosts(text, host)
    .filter((address) => families.includes(isIP(address) as 4 | 6))
    .map((address) => ({ address, ttlMs: undefined }))
}

/** Addresses that a hosts file gives to a name: `address name alias …  # comment` a line. */
export function addressesInHosts(text: string, host: string): string[] {
  const wanted = host.toLowerCase().replace(/\.$/, '')
  const found: string[] = []
  for (const line of text.split('\n')) {
    const [address, ...names] = (line.split('#', 1)[0] as string).trim().split(/\s+/)
    if (address === undefined || isIP(address) === 0 || found.includes(address)) continue
    if (names.some((name) => name.toLowerCase() === wanted)) found.push(address)
  }
  return found
}

/** Families of which this machine has an address that leads anywhere; both if it has none at all. */
function ownFamilies(): readonly (4 | 6)[] {
  const families = new Set<4 | 6>()
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) {
      if (internal || address.startsWith('fe80:')) continue
      families.add(family === 'IPv6' ? 6 : 4)
    }
  }
  return families.size === 0 ? BOTH_FAMILIES : BOTH_FAMILIES.filter((each) => families.has(each))
}

function lookupError(name: string, thrown: unknown): TransportError {
  const cause = toError(thrown)
  const code = (cause as { code?: string }).code ?? cause.message
  const what = EXPLANATIONS[code]
  const message = `cannot resolve ${name}: ${what === undefined ? code : `${what} (${code})`}`
  return new TransportError('ERR_RESOLVE', message, { cause, sent: 'nothing' })
}

function noAddress(name: string): TransportError {
  return new TransportError('ERR_RESOLVE', `cannot resolve ${name}: it has no address`, {
    sent: 'nothing',
  })
}

const HOSTS_FILE = '/etc/hosts'
const BOTH_FAMILIES: readonly (4 | 6)[] = [4, 6]
const EXPLANATIONS: Readonly<Record<string, string>> = Object.freeze({
  ENOTFOUND: 'no such name',
  ENODATA: 'it has no record of that kind',
  ESERVFAIL: 'the name server failed',
  ETIMEOUT: 'the name server did not answer',
  ECONNREFUSED: 'no name server listens',
  EREFUSED: 'the name server refused',
  EAI_AGAIN: 'the name server did not answer',
})
