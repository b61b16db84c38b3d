/**
 * Many blocks: a whole chain verified, and the end of one that a node follows.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import { type Block, sameBytes } from './block.ts'
import { BLOCK_CODES } from './block-codes.ts'
import { blockDefaults } from './options.ts'
import { type BlockVerdict, type VerifyBlockOptions, verifyBlock } from './verify.ts'

/** A verdict over many: `at` is the position of the block it is about. */
export type ChainVerdict = BlockVerdict & { readonly at: number }

export interface VerifyChainOptions extends Omit<VerifyBlockOptions, 'previous' | 'live'> {
  /** A trusted block that the first one follows. @default none: the first must be a genesis */
  anchor?: Block
}

/** Verifies history: each block by itself and against the one before; age does not matter. */
export async function verifyChain(
  blocks: Iterable<Block> | AsyncIterable<Block>,
  options: VerifyChainOptions,
): Promise<ChainVerdict> {
  const { anchor, ...rules } = options
  let previous = anchor
  let at = 0
  for await (const block of blocks) {
    if (previous === undefined) {
      const root = checkGenesis(block)
      if (root !== undefined) return { ...root, at }
    }
    const link = previous === undefined ? {} : { previous }
    const verdict = await verifyBlock(block, { ...rules, ...link })
    if (!verdict.ok) return { ...verdict, at }
    previous = block
    at += 1
  }
  return { ok: true, code: 0, name: 'Ok', at }
}

/** Undefined: it is the first block of a chain. */
export function checkGenesis(block: Block): BlockVerdict | undefined {
  if (block.index !== 0n) {
    return verdict('InvalidIndex', `a chain begins with index 0, not ${block.index}`)
  }
  if (block.previous.some((byte) => byte !== 0)) {
    return verdict('BrokenChain', 'the first block of a chain has a block before it')
  }
  return undefined
}

export interface ChainTipOptions extends Omit<VerifyBlockOptions, 'previous'> {
  /**
   * How many blocks a fork may replace. Bounds what is kept: this many blocks and one.
   *
   * @default 100, MAX_REORG_DEPTH of the protocol
   */
  maxReorgDepth?: number
}

/** The end of a chain: what a next block is verified against, and what a fork may replace. */
export class ChainTip {
  readonly #maxReorgDepth: number
  readonly #options: Omit<VerifyBlockOptions, 'previous'>
  /** Oldest first. */
  #blocks: Block[]

  /** @param start verified already, or trusted */
  constructor(start: Block, options: ChainTipOptions) {
    const { maxReorgDepth = blockDefaults.maxReorgDepth, ...rules } = options
    this.#maxReorgDepth = checkInteger('maxReorgDepth', maxReorgDepth, 0, 1_000_000)
    this.#options = rules
    this.#blocks = [start]
  }

  get block(): Block {
    return this.#blocks.at(-1) as Block
  }

  /** Blocks that are kept. */
  get length(): number {
    return this.#blocks.length
  }

  /** @param now Unix seconds; for rules that look at a clock */
  async append(block: Block, now?: number): Promise<BlockVerdict> {
    const verdict = await this.#verify(block, this.block, now)
    if (verdict.ok) this.#push([block])
    return verdict
  }

  /**
   * Takes another branch, of blocks in order. It is verified whole before anything changes, and has
   * to be longer than what it replaces.
   */
  async reorganize(branch: readonly Block[], now?: number): Promise<ChainVerdict> {
    const [first] = branch
    if (first === undefined) throw new UsageError('ERR_ARGUMENT', 'a branch of no blocks')
    const depth = this.block.index - first.index + 1n
    if (depth > BigInt(this.#maxReorgDepth)) {
      const message = `a fork ${depth} blocks back is over the limit of ${this.#maxReorgDepth}`
      return { ...verdict('ForkTooDeep', message), at: 0 }
    }
    const ancestorAt = await this.#findAncestor(first)
    if (ancestorAt < 0) {
      return { ...verdict('BrokenChain', 'the branch begins at no block that is known'), at: 0 }
    }
    let previous = this.#blocks[ancestorAt] as Block
    for (const [at, block] of branch.entries()) {
      const found = await this.#verify(block, previous, now)
      if (!found.ok) return { ...found, at }
      previous = block
    }
    if (branch.length <= this.#blocks.length - 1 - ancestorAt) {
      const message = `a branch of ${branch.length} blocks is no longer than what it replaces`
      return { ...verdict('InvalidIndex', message), at: branch.length - 1 }
    }
    this.#blocks.length = ancestorAt + 1
    this.#push(branch)
    return { ok: true, code: 0, name: 'Ok', at: branch.length }
  }

  async #findAncestor(first: Block): Promise<number> {
    for (let at = this.#blocks.length - 1; at >= 0; at--) {
      const block = this.#blocks[at] as Block
      if (block.index + 1n !== first.index) continue
      return sameBytes(await block.hash(this.#options.host), first.previous) ? at : -1
    }
    return -1
  }

  async #verify(block: Block, previous: Block, now: number | undefined): Promise<BlockVerdict> {
    const clock = now === undefined ? {} : { now }
    return await verifyBlock(block, { ...this.#options, ...clock, previous })
  }

  #push(blocks: readonly Block[]): void {
    this.#blocks = [...this.#blocks, ...blocks].slice(-(this.#maxReorgDepth + 1))
  }
}

function verdict(
  name: 'BrokenChain' | 'ForkTooDeep' | 'InvalidIndex',
  message: string,
): BlockVerdict {
  return { ok: false, code: BLOCK_CODES[name], name, message }
}
