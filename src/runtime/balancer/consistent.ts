/**
 * What ring hash and maglev have in common: a table made of the members, which is kept while they
 * stay the same; the bound on load; and where a call goes when its own place cannot take it.
 */
import { checkRange } from '../../core/errors.ts'
import { hashText } from './hash.ts'
import { type BalancerNode, type Group, isUsable, type Member } from './member.ts'

export interface ConsistentOptions {
  /**
   * No endpoint has more than so many times the average of the calls in flight, by weight; a call
   * beyond that goes to the next place (consistent hashing with bounded loads, Mirrokni, Thorup and
   * Zadimoghaddam 2016). Less keeps the load more even, more keeps more calls at their place.
   *
   * @default none: a key's place is its place. 1.25 is a good start where one is wanted
   */
  boundedLoad?: number
}

/** @throws UsageError ERR_OPTION_RANGE */
export function checkBoundedLoad(options: ConsistentOptions): number {
  const { boundedLoad = Number.POSITIVE_INFINITY } = options
  return checkRange('boundedLoad', boundedLoad, 1, Number.POSITIVE_INFINITY)
}

/** The group's table, made anew only when members or weights changed. */
export function tableOf<Node, Table>(
  group: Group<Node>,
  make: (members: readonly Member<Node>[]) => Table,
): Table {
  const { members } = group
  const known = group.table as Kept<Node, Table> | undefined
  if (known !== undefined) {
    if (known.members === members) return known.table
    if (isOf(known, members)) {
      known.members = members
      return known.table
    }
  }
  const weights = members.map((member) => member.baseWeight)
  const kept: Kept<Node, Table> = { members, weights, table: make(members) }
  group.table = kept
  return kept.table
}

/** Usable, and not beyond the bound. */
export function takesMore<Node extends BalancerNode>(
  member: Member<Node>,
  group: Group<Node>,
  now: number,
  excluded: ReadonlySet<Node> | undefined,
  bound: number,
): boolean {
  if (!isUsable(member, now, excluded)) return false
  if (bound === Number.POSITIVE_INFINITY) return true
  const fair = ((group.load + 1) * member.weight) / group.servingWeight
  return member.load < Math.ceil(bound * fair)
}

/**
 * The usable member that likes this hash best (rendezvous hashing): the same for every client, and
 * the calls of one that is out go to all others alike. Looks at every member, so it is asked last.
 */
export function rendezvous<Node extends BalancerNode>(
  group: Group<Node>,
  now: number,
  excluded: ReadonlySet<Node> | undefined,
  hash: number,
): Member<Node> | undefined {
  let best: Member<Node> | undefined
  let bestScore = Number.NEGATIVE_INFINITY
  for (const member of group.members) {
    if (!isUsable(member, now, excluded)) continue
    // Of -weight / ln(u), the largest: the weighted form.
    const uniform = (hashText(member.key, hash) + 0.5) / 0x1_0000_0000
    const score = -member.weight / Math.log(uniform)
    if (score > bestScore) {
      best = member
      bestScore = score
    }
  }
  return best
}

interface Kept<Node, Table> {
  members: readonly Member<Node>[]
  readonly weights: readonly number[]
  readonly table: Table
}

function isOf<Node, Table>(
  { members: before, weights }: Kept<Node, Table>,
  members: readonly Member<Node>[],
): boolean {
  return (
    before.length === members.length &&
    members.every(
      (member, index) => member === before[index] && member.baseWeight === weights[index],
    )
  )
}
