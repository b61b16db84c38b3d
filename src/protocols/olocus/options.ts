/**
 * Limits of blocks, each with the reason of its default.
 */

export interface BlockLimits {
  /**
   * Longest payload, in bytes.
   *
   * @default 16_777_216, MAX_PAYLOAD_SIZE of the protocol
   */
  maxPayloadBytes?: number
}

export interface BlockRules {
  /**
   * Time now, in Unix seconds. Without it the time of a block is not compared with a clock: right
   * for history, wrong for what arrives live.
   */
  now?: number
  /**
   * Whether the block claims to be new: then it may not be older than `maxBlockAgeSeconds`.
   *
   * @default false, history has any age
   */
  live?: boolean
  /**
   * How far ahead of `now` a block may be, in seconds.
   *
   * @default 300, MAX_FUTURE_DRIFT of the protocol
   */
  maxFutureDriftSeconds?: number
  /**
   * How old a live block may be, in seconds.
   *
   * @default 86_400, MAX_BLOCK_AGE of the protocol
   */
  maxBlockAgeSeconds?: number
  /**
   * Whether each block must be later than the one before it. Times are whole seconds: a strict chain
   * takes one block a second.
   *
   * @default false, equal times are in order
   */
  strictTime?: boolean
  /**
   * Whether payload types above 0xffff, which the registry does not define, are refused.
   *
   * @default true
   */
  strictTypes?: boolean
}

export const blockDefaults: Readonly<{
  maxPayloadBytes: number
  maxFutureDriftSeconds: number
  maxBlockAgeSeconds: number
  maxReorgDepth: number
}> = Object.freeze({
  maxPayloadBytes: 16_777_216,
  maxFutureDriftSeconds: 300, // clocks that nobody sets are minutes off, seldom more
  maxBlockAgeSeconds: 86_400, // a node that was away for a day asks for history instead
  maxReorgDepth: 100, // what a node keeps of its chain to be able to change its mind
})
