/**
 * Blocks to the messages of a carrier, and back: encoded, decoded, verified.
 */
import { toError } from '../../core/errors.ts'
import { type Eventual, whenReady } from '../../core/signing.ts'
import { type Block, sameBytes } from '../../protocols/olocus/block.ts'
import { blockError } from '../../protocols/olocus/block-codes.ts'
import { fromWireFormat, toWireFormat } from '../../protocols/olocus/compressed.ts'
import { verdictError, verifyBlock } from '../../protocols/olocus/verify.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import type { OutgoingMessage, ReceivedMessage } from './block-carrier.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import type { Outcome } from './receive-queue.ts'

/** @param withHash where the carrier cuts long blocks, whose parts are known by it */
export function writeBlock(
  block: Block,
  format: WireFormat,
  withHash: boolean,
  options: Pick<ResolvedBlockOptions, 'host' | 'signing'>,
): Eventual<OutgoingMessage> {
  const text = format.encoding === 'json' && format.compression === 'none'
  return whenReady(toWireFormat(block, format, options.host), (bytes) => {
    if (!withHash) return { bytes, block, blockHash: undefined, text }
    return whenReady(block.hash(options.signing), (blockHash) => ({
      bytes,
      block,
      blockHash,
      text,
    }))
  })
}

export class BlockReader {
  readonly #options: ResolvedBlockOptions

  constructor(options: ResolvedBlockOptions) {
    this.#options = options
  }

  /** Never throws: what is wrong is the outcome. */
  read(message: ReceivedMessage, format: WireFormat): Eventual<Outcome> {
    let outcome: Eventual<Outcome>
    try {
      outcome = whenReady(this.#decode(message, format), (block) => this.#judge(block, message))
    } catch (error) {
      return { error: toError(error) }
    }
    if (!(outcome instanceof Promise)) return outcome
    return outcome.catch((error: unknown) => ({ error: toError(error) }))
  }

  #decode(message: ReceivedMessage, format: WireFormat): Eventual<Block> {
    const { maxPayloadBytes, registry, host } = this.#options
    const options = { maxPayloadBytes, host, give: true, ...(registry && { registry }) }
    return fromWireFormat(message.bytes, formatOf(message, format), options)
  }

  #judge(block: Block, message: ReceivedMessage): Eventual<Outcome> {
    const { signing } = this.#options
    const { blockHash } = message
    if (blockHash === undefined) return this.#verify(block)
    return whenReady(block.hash(signing), (hash) => {
      if (sameBytes(hash, blockHash)) return this.#verify(block)
      return { error: blockError('PayloadMismatch', 'fragments of another block than they say') }
    })
  }

  #verify(block: Block): Eventual<Outcome> {
    const { verify, rules, signing, clock, maxPayloadBytes } = this.#options
    if (!verify) return { block }
    const now = Math.floor(clock.wallNow() / 1_000)
    const verdict = verifyBlock(block, { ...rules, now, host: signing, maxPayloadBytes })
    return whenReady(verdict, (found) => {
      const error = verdictError(found)
      return error === undefined ? { block } : { error, refused: block }
    })
  }
}

/** Where the carrier tells text from bytes, text is JSON and bytes are not. */
function formatOf(message: ReceivedMessage, format: WireFormat): WireFormat {
  if (message.kind === 'text') return WireFormat.json()
  const sentAsText = format.encoding === 'json' && format.compression === 'none'
  return sentAsText && message.kind === 'binary' ? WireFormat.binary() : format
}
