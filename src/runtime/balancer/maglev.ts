/**
 * Consistent hashing by a lookup table (Maglev, NSDI 2016, section 3.4): each endpoint has its own
 * permutation of the table's places, and they take turns to fill it, each its first place that is
 * still free. A call looks at one place.
 *
 * Compared with a ring, shares are even to a fraction of a percent and a lookup is one read; in
 * return a change moves a few more keys than it must. An endpoint that is out keeps its places: its
 * calls are hashed again, and come back with it.
 */
import type { Random } from '../../core/clock.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { HashKey } from '../../core/policy.ts'
import { type BalancerFactory, EndpointBalancer } from './balancer.ts'
import {
  type ConsistentOptions,
  checkBoundedLoad,
  rendezvous,
  tableOf,
  takesMore,
} from './consistent.ts'
import { hashText, rehash } from './hash.ts'
import type { BalancerNode, Choose, Group, Member } from './member.ts'

export interface MaglevOptions<Req> extends ConsistentOptions {
  /** What a call is hashed by; a call without a key goes anywhere. */
  key: HashKey<Req>
  /**
   * Places of the table, a prime. At least a hundred times as many as endpoints keep shares within
   * a percent of one another.
   *
   * @default 65_537, as the paper and envoy: enough for hundreds of endpoints, 128 KiB
   */
  tableSize?: number
}

export const maglevDefaults: Readonly<{ tableSize: number }> = Object.freeze({ tableSize: 65_537 })

/** @throws UsageError ERR_OPTION_RANGE; ERR_ARGUMENT when the size is no prime */
export function maglev<Req>(options: MaglevOptions<Req>): BalancerFactory<Req> {
  const { key, tableSize = maglevDefaults.tableSize } = options
  const size = checkInteger('tableSize', tableSize, 2, MAX_SIZE)
  if (!isPrime(size)) throw new UsageError('ERR_ARGUMENT', `tableSize ${size} is not a prime`)
  const choose = chooseInTable(size, checkBoundedLoad(options))
  const parameters = { tableSize: size, boundedLoad: options.boundedLoad }
  const strategy = { name: 'maglev', choose, consistent: true, parameters }
  return <Node extends BalancerNode>(balancing = {}) =>
    new EndpointBalancer<Node, Req>(strategy, balancing, key)
}

/** Index of a member by place. With more members than places, the last ones have none. */
export function makeTable<Node>(members: readonly Member<Node>[], size: number): Uint32Array {
  const table = new Uint32Array(size).fill(FREE)
  const heaviest = members.reduce((most, { baseWeight }) => Math.max(most, baseWeight), 0)
  // Sorted by name, so that every client fills the same table, however its resolver orders them.
  const turns = members
    .map(({ key, baseWeight }, owner) => ({
      owner,
      key,
      place: hashText(key) % size,
      skip: (hashText(key, SKIP_SEED) % (size - 1)) + 1,
      weight: baseWeight,
      due: 0,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  let filled = 0
  for (let round = 1; ; round++) {
    for (const turn of turns) {
      // A lighter one sits out rounds until its weight has added up to the heaviest's.
      if (round * turn.weight < turn.due) continue
      turn.due += heaviest
      while (table[turn.place] !== FREE) turn.place = (turn.place + turn.skip) % size
      table[turn.place] = turn.owner
      filled++
      if (filled === size) return table
    }
  }
}

function chooseInTable(size: number, bound: number): Choose {
  return <Node extends BalancerNode>(
    group: Group<Node>,
    now: number,
    _random: Random,
    excluded: ReadonlySet<Node> | undefined,
    hash: number,
  ): Member<Node> | undefined => {
    const { members } = group
    if (members.length === 0) return undefined
    const table = tableOf(group, (list) => makeTable(list, size))
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const place = (turn === 0 ? hash : rehash(hash, turn)) % size
      const member = members[table[place] as number] as Member<Node>
      if (takesMore(member, group, now, excluded, bound)) return member
    }
    return rendezvous(group, now, excluded, hash)
  }
}

/** By trial: sizes are a few million at most. */
export function isPrime(value: number): boolean {
  for (let divisor = 2; divisor * divisor <= value; divisor++) {
    if (value % divisor === 0) return false
  }
  return value >= 2
}

const FREE = 0xffff_ffff
const SKIP_SEED = 0x5bd1_e995
/** Times a call is hashed again when its place cannot take it. */
const MAX_TURNS = 16
/** As envoy: 20 MB. */
const MAX_SIZE = 5_000_011
