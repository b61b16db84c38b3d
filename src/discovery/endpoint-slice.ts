/**
 * EndpointSlices (discovery.k8s.io/v1), and who of them gets calls; pure.
 *
 * - `ready` endpoints; unset means ready. While there is none, those that still serve though they
 *   terminate, as kube-proxy does: better a pod on its way out than nobody.
 * - A pod with an address of each family is one endpoint.
 * - The same address in two slices, as happens while slices are rearranged, is one endpoint; ready in
 *   one of them is ready.
 * - The zone of an endpoint is its locality.
 */
import { ip } from '../core/address.ts'
import { ProtocolError, UsageError } from '../core/errors.ts'
import type { Endpoint } from '../core/policy.ts'
import { asArray, asRecord, asText, isRecord } from './json-value.ts'

export interface EndpointSlice {
  readonly name: string
  readonly addressType: string
  readonly ports: readonly SlicePort[]
  readonly endpoints: readonly SliceEndpoint[]
}

interface SlicePort {
  readonly name: string
  readonly port: number
}

interface SliceEndpoint {
  readonly address: string
  readonly ready: boolean
  /** Answers calls, ready for more or not. */
  readonly serving: boolean
  readonly terminating: boolean
  readonly zone: string
  /** What it is an address of; empty: only of itself. */
  readonly pod: string
}

/** @throws ProtocolError ERR_MALFORMED for what is no EndpointSlice */
export function readEndpointSlice(value: unknown): EndpointSlice {
  const slice = asRecord('kubernetes', value)
  const name = asText(asRecord('kubernetes', slice['metadata'])['name'])
  if (name === '') {
    throw new ProtocolError('ERR_MALFORMED', 'kubernetes gave an EndpointSlice without a name')
  }
  const ports: SlicePort[] = []
  for (const entry of asArray('kubernetes', slice['ports'] ?? [])) {
    const { name: portName, port } = asRecord('kubernetes', entry)
    // Without a number it stands for all ports, which nobody can call.
    if (typeof port === 'number') ports.push({ name: asText(portName), port })
  }
  const endpoints: SliceEndpoint[] = []
  for (const entry of asArray('kubernetes', slice['endpoints'] ?? [])) {
    const endpoint = readEndpoint(asRecord('kubernetes', entry))
    if (endpoint !== undefined) endpoints.push(endpoint)
  }
  return { name, addressType: asText(slice['addressType']), ports, endpoints }
}

function readEndpoint(entry: Readonly<Record<string, unknown>>): SliceEndpoint | undefined {
  // The API says that the addresses of one endpoint are the same place: the first is enough.
  const [address] = asArray('kubernetes', entry['addresses'] ?? [])
  if (typeof address !== 'string' || address === '') return undefined
  const conditions = isRecord(entry['conditions']) ? entry['conditions'] : {}
  const ready = conditions['ready'] !== false
  const serving = typeof conditions['serving'] === 'boolean' ? conditions['serving'] : ready
  const target = isRecord(entry['targetRef']) ? entry['targetRef'] : {}
  return {
    address,
    ready,
    serving,
    terminating: conditions['terminating'] === true,
    zone: asText(entry['zone']),
    pod: asText(target['uid']) || asText(target['name']),
  }
}

/**
 * @param port name or number; undefined: the only one
 * @throws UsageError ERR_ADDRESS_INVALID when the slices have no such port, or several
 */
export function selectEndpoints(
  slices: Iterable<EndpointSlice>,
  port: string | undefined,
  family: 4 | 6 | undefined,
): Endpoint[] {
  const all = [...slices]
  const found = candidates(all, port, family)
  const ready = found.filter((one) => one.ready)
  const chosen = ready.length > 0 ? ready : found.filter((one) => one.serving && one.terminating)
  return chosen.map(({ address, port: number, zone }) => ({
    address: ip(address, number),
    ...(zone !== '' && { locality: zone }),
  }))
}

type Candidate = SliceEndpoint & { readonly port: number }

/** One for each pod, or each address that belongs to none. */
function candidates(
  slices: readonly EndpointSlice[],
  port: string | undefined,
  family: 4 | 6 | undefined,
): Candidate[] {
  const byAddress = new Map<string, Candidate>()
  const pods = new Map<string, string>()
  // The families in the order in which they are wanted: the first address of a pod stays.
  const types = family === undefined ? ['IPv4', 'IPv6', 'FQDN'] : [`IPv${family}`, 'FQDN']
  for (const type of types) {
    for (const slice of slices) {
      if (slice.addressType !== type || slice.endpoints.length === 0) continue
      const number = portOf(slice, port)
      for (const endpoint of slice.endpoints) {
        const key = `${endpoint.address} ${number}`
        const pod = `${endpoint.pod} ${number}`
        const other = endpoint.pod === '' ? undefined : pods.get(pod)
        if (other !== undefined && other !== type) continue
        if (endpoint.pod !== '') pods.set(pod, type)
        const known = byAddress.get(key)
        if (known === undefined || (!known.ready && endpoint.ready)) {
          byAddress.set(key, { ...endpoint, port: number })
        }
      }
    }
  }
  return [...byAddress.values()]
}

function portOf({ ports, name }: EndpointSlice, wanted: string | undefined): number {
  const names = ports.map((one) => one.name || String(one.port)).join(', ') || 'none'
  if (wanted === undefined) {
    const [only] = ports
    if (only !== undefined && ports.length === 1) return only.port
    const message = `${name} has the ports ${names}: the target must name one`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  const found = ports.find((one) => one.name === wanted || String(one.port) === wanted)
  if (found !== undefined) return found.port
  // A slice for all ports leaves the choice to whoever calls.
  if (ports.length === 0 && /^\d{1,5}$/.test(wanted)) return Number(wanted)
  const message = `${name} has no port ${wanted}, it has ${names}`
  throw new UsageError('ERR_ADDRESS_INVALID', message)
}
