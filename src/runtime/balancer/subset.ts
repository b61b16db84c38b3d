/**
 * Deterministic subsetting: each of many clients uses only some of many servers, so that there are
 * not clients × servers connections, and yet every server gets the same load (Finagle's
 * deterministic aperture).
 *
 *     servers   |  a  |  b  |  c  |  d  |  e  |        one ring, the same order for everybody
 *     client 0  [────────────)
 *     client 1          [────────────)                 each begins 1/clients further
 *
 * A client uses what its arc covers, a server that is covered in part with that part of its weight.
 * Arcs are as long as a whole number of steps, so that every point of the ring is covered by the same
 * number of clients: the load is even whatever the numbers are. Nothing is left to chance, and no
 * client need know what another does. One server more or less moves each arc by a server or two.
 */
import { checkInteger } from '../../core/errors.ts'
import type { Endpoint } from '../../core/policy.ts'
import { endpointKey } from '../endpoint-set.ts'
import { hashText } from './hash.ts'

export interface SubsetOptions {
  /** Number of this client among its siblings: 0 to `clients` - 1. */
  client: number
  /** How many siblings there are, itself included. */
  clients: number
  /**
   * Servers that it uses, at least.
   *
   * @default 20: enough that one which fails is 5 %
   */
  size?: number
}

export const subsetDefaults: Readonly<{ size: number }> = Object.freeze({ size: 20 })

/** One server of a subset. */
export interface Covered<Item> {
  readonly item: Item
  /** How much of it is this client's, above 0 up to 1. */
  readonly share: number
}

/** @throws UsageError ERR_OPTION_RANGE */
export function checkSubset(options: SubsetOptions): Readonly<Required<SubsetOptions>> {
  const { client, clients, size = subsetDefaults.size } = options
  checkInteger('clients', clients, 1, 1_000_000)
  return Object.freeze({
    clients,
    client: checkInteger('client', client, 0, clients - 1),
    size: checkInteger('size', size, 1, 1_000_000),
  })
}

/** The part of `items` that this client uses; all of them when there are no more than `size`. */
export function subsetOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  { client, clients, size }: Readonly<Required<SubsetOptions>>,
): Covered<Item>[] {
  const count = items.length
  if (count <= size) return items.map((item) => ({ item, share: 1 }))
  const ring = inOneOrder(items, keyOf)
  // In units of 1 / (clients × count) of the ring, so that everything is a whole number.
  const steps = Math.ceil((size * clients) / count)
  const start = client * count
  const end = start + Math.min(steps, clients) * count
  const covered: Covered<Item>[] = []
  for (let index = Math.floor(start / clients); index * clients < end; index++) {
    const from = Math.max(start, index * clients)
    const to = Math.min(end, (index + 1) * clients)
    const item = ring[index % count] as Item
    const share = (to - from) / clients
    // A whole turn comes back to the server that it began in.
    const first = covered[0]
    if (first !== undefined && first.item === item) {
      covered[0] = { item, share: first.share + share }
    } else covered.push({ item, share })
  }
  return covered
}

/**
 * The endpoints that this client uses, of each priority by itself, with their part of their weight.
 * Those without weight are nobody's.
 */
export function subsetOfEndpoints(
  endpoints: readonly Endpoint[],
  options: Readonly<Required<SubsetOptions>>,
): Endpoint[] {
  const byPriority = Map.groupBy(
    endpoints.filter(({ weight = 1 }) => weight > 0),
    ({ priority = 0 }) => priority,
  )
  return [...byPriority.values()].flatMap((level) =>
    subsetOf(level, endpointKey, options).map(({ item, share }) =>
      share === 1 ? item : { ...item, weight: (item.weight ?? 1) * share },
    ),
  )
}

/** By hash, not by name: neighbours by name are often neighbours in a rack, and fail together. */
function inOneOrder<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] {
  return items
    .map((item) => ({ item, key: keyOf(item), hash: hashText(keyOf(item)) }))
    .sort((a, b) => a.hash - b.hash || (a.key < b.key ? -1 : 1))
    .map(({ item }) => item)
}
