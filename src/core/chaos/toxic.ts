/**
 * Toxics: what can go wrong on one direction of a connection, named and with the attributes of
 * toxiproxy 2 (https://github.com/Shopify/toxiproxy#toxics), in its JSON; five more are ours.
 *
 *     { type: 'latency', stream: 'downstream', toxicity: 0.5, attributes: { latency: 100, jitter: 20 } }
 *
 * What one means depends on what travels, and is refused where it means nothing:
 *
 *     stream    bytes in order, nothing lost: TCP, TLS, a QUIC stream. What is lost or overtaken
 *               below is sent again, so all that a reader sees is that everything behind it waits.
 *     message   whole messages, never cut: WebSocket, framed streams, data channels. As streams
 *               where nothing is lost; where a message may be (a lossy data channel), as datagrams.
 *     datagram  lost, doubled, overtaken whole, and nothing has an end.
 */
import { checkInteger, checkRange, UsageError } from '../errors.ts'

export type ToxicType =
  | 'latency'
  | 'bandwidth'
  | 'slow_close'
  | 'timeout'
  | 'reset_peer'
  | 'slicer'
  | 'limit_data'
  | 'loss'
  | 'reordering'
  | 'duplication'
  | 'corruption'
  | 'partition'

/** `upstream`: from who connected to who accepted. `downstream`: the way back. */
export type ToxicStream = 'upstream' | 'downstream'
/** What travels. */
export type ToxicCarrier = 'stream' | 'message' | 'datagram'

/** What the contract of a carrier promises, which no toxic but `corruption` breaks. */
export interface ToxicDelivery {
  /** Nothing overtakes. @default true, but for datagrams */
  readonly ordered?: boolean | undefined
  /** Nothing is lost: what the network loses is sent again. @default true, but for datagrams */
  readonly reliable?: boolean | undefined
}
export type ToxicAttributes = Readonly<Record<string, number>>

export interface ToxicSpec {
  readonly type: ToxicType
  /** @default `<type>_<stream>`, as toxiproxy */
  readonly name?: string
  /** @default 'downstream', as toxiproxy */
  readonly stream?: ToxicStream
  /** Probability that a connection meets it, from 0 to 1. @default 1, as toxiproxy */
  readonly toxicity?: number
  /** Those of its type; what is left out has its default ({@link toxicTypes}). */
  readonly attributes?: ToxicAttributes
}

/** A toxic that is in use: everything filled in. Its JSON is toxiproxy's. */
export interface Toxic {
  readonly name: string
  readonly type: ToxicType
  readonly stream: ToxicStream
  readonly toxicity: number
  readonly attributes: ToxicAttributes
  /** When it was added or changed, a value of the clock. Not in its JSON. */
  readonly since: number
}

interface AttributeRule {
  readonly default: number
  readonly min: number
  readonly max: number
  readonly whole?: true
}

interface ToxicRule {
  readonly carriers: readonly ToxicCarrier[]
  /** Only where nothing promises that all arrives, once. */
  readonly lossy?: true
  /** Why it is refused on the others. */
  readonly elsewhere?: string
  readonly attributes: Readonly<Record<string, AttributeRule>>
}

/** A day. Longer is as good as never, and keeps every sum exact. */
const MAX_MS = 86_400_000
const MAX_BYTES = 2 ** 40
const ms = (preset: number): AttributeRule => ({ default: preset, min: 0, max: MAX_MS })
const share: AttributeRule = { default: 0, min: 0, max: 1 }
const ALL: readonly ToxicCarrier[] = ['stream', 'message', 'datagram']
const CLOSABLE: readonly ToxicCarrier[] = ['stream', 'message']
const NO_CLOSE = 'datagrams have no connection to close; use partition'

/** Every type, where it means something, and the bounds and defaults of its attributes. */
export const toxicTypes: Readonly<Record<ToxicType, ToxicRule>> = Object.freeze({
  /** Everything arrives `latency` ± `jitter` ms later. */
  latency: { carriers: ALL, attributes: { latency: ms(0), jitter: ms(0) } },
  /** At most `rate` times 1,000 bytes a second. 0: no limit, as toxiproxy. */
  bandwidth: { carriers: ALL, attributes: { rate: { default: 0, min: 0, max: MAX_BYTES } } },
  /** The end arrives `delay` ms later. */
  slow_close: { carriers: CLOSABLE, elsewhere: NO_CLOSE, attributes: { delay: ms(0) } },
  /** Drops everything, closes after `timeout` ms. 0: when the toxic is removed. */
  timeout: { carriers: CLOSABLE, elsewhere: NO_CLOSE, attributes: { timeout: ms(0) } },
  /** Resets `timeout` ms after the first byte. */
  reset_peer: { carriers: CLOSABLE, elsewhere: NO_CLOSE, attributes: { timeout: ms(0) } },
  /** Cuts into pieces of `average_size` ± `size_variation` bytes, `delay` microseconds apart. */
  slicer: {
    carriers: ['stream'],
    elsewhere: 'whole messages are not cut; use bandwidth or loss',
    attributes: {
      average_size: { default: 0, min: 1, max: MAX_BYTES, whole: true },
      size_variation: { default: 0, min: 0, max: MAX_BYTES, whole: true },
      delay: { default: 0, min: 0, max: MAX_MS * 1_000 },
    },
  },
  /** Closes after `bytes` bytes. */
  limit_data: {
    carriers: CLOSABLE,
    elsewhere: NO_CLOSE,
    attributes: { bytes: { default: 0, min: 0, max: MAX_BYTES, whole: true } },
  },
  /**
   * Ours. Loses each datagram with `probability`, and each message that may be lost. Elsewhere each
   * segment of 1,460 bytes, which is sent again after `retransmit` ms, doubled each time it is lost
   * again; a message waits for its last segment, and what is behind it waits where there is an
   * order. 200 ms is the least retransmission timeout of Linux.
   */
  loss: { carriers: ALL, attributes: { probability: share, retransmit: ms(200) } },
  /** Ours. With `probability` held back for `delay` ms: overtaken; in order, the rest waits. */
  reordering: { carriers: ALL, attributes: { probability: share, delay: ms(10) } },
  /** Ours. Arrives twice with `probability`. */
  duplication: {
    carriers: ['message', 'datagram'],
    lossy: true,
    elsewhere: 'what comes twice is dropped below',
    attributes: { probability: share },
  },
  /** Ours. Flips `bits` bits of a chunk, message or datagram with `probability`. */
  corruption: {
    carriers: ALL,
    attributes: { probability: share, bits: { default: 1, min: 1, max: 1_000, whole: true } },
  },
  /**
   * Ours. Nothing passes for `duration` ms; 0: until it is removed. What may be lost is; the rest
   * arrives afterwards, connections are made afterwards.
   */
  partition: { carriers: ALL, attributes: { duration: ms(0) } },
})

/**
 * Checks a toxic and fills in what was left out.
 *
 * @param reliable whether `carrier` promises that everything arrives, once
 * @throws UsageError ERR_OPTION_UNKNOWN, ERR_OPTION_RANGE; ERR_OPTION_UNSUPPORTED where it means
 *   nothing on `carrier`
 */
export function checkToxic(
  spec: ToxicSpec,
  carrier: ToxicCarrier,
  now = 0,
  reliable: boolean = carrier !== 'datagram',
): Toxic {
  const { type, stream = 'downstream', toxicity = 1, attributes = {} } = spec
  const rule = Object.hasOwn(toxicTypes, type) ? toxicTypes[type] : undefined
  if (rule === undefined) {
    const known = Object.keys(toxicTypes).join(', ')
    throw new UsageError('ERR_OPTION_UNKNOWN', `toxic type is '${type}', must be one of ${known}`)
  }
  if (stream !== 'upstream' && stream !== 'downstream') {
    const said = `stream is '${String(stream)}', must be upstream or downstream`
    throw new UsageError('ERR_ARGUMENT', said)
  }
  const name = spec.name === undefined || spec.name === '' ? `${type}_${stream}` : spec.name
  if (typeof name !== 'string' || name.length > MAX_NAME) {
    throw new UsageError('ERR_ARGUMENT', `name of a toxic must be a text of ${MAX_NAME} at most`)
  }
  checkRange('toxicity', toxicity, 0, 1)
  if (!rule.carriers.includes(carrier) || (rule.lossy === true && reliable)) {
    const why = `toxic ${type} on a ${carrier}: ${rule.elsewhere ?? ''}`
    throw new UsageError('ERR_OPTION_UNSUPPORTED', why)
  }
  return Object.freeze({
    name,
    type,
    stream,
    toxicity,
    attributes: checkAttributes(type, rule, attributes),
    since: now,
  })
}

/** As toxiproxy answers. */
export function toxicJson({
  name,
  type,
  stream,
  toxicity,
  attributes,
}: Toxic): Omit<Toxic, 'since'> {
  return { name, type, stream, toxicity, attributes }
}

function checkAttributes(
  type: ToxicType,
  rule: ToxicRule,
  given: ToxicAttributes,
): ToxicAttributes {
  if (typeof given !== 'object' || given === null) {
    throw new UsageError('ERR_ARGUMENT', 'attributes must be an object')
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(rule.attributes, name)) continue
    const known = Object.keys(rule.attributes).join(', ')
    const said = `toxic ${type} has no attribute '${name.slice(0, MAX_NAME)}', only ${known}`
    throw new UsageError('ERR_OPTION_UNKNOWN', said)
  }
  const checked: Record<string, number> = {}
  for (const [name, { default: preset, min, max, whole }] of Object.entries(rule.attributes)) {
    const value = given[name] ?? preset
    const check = whole === true ? checkInteger : checkRange
    if (typeof value !== 'number') {
      throw new UsageError('ERR_ARGUMENT', `${type} ${name} must be a number`)
    }
    checked[name] = check(`${type} ${name}`, value, min, max)
  }
  if (type === 'slicer') {
    const { average_size = 0, size_variation = 0 } = checked
    checkRange('slicer size_variation', size_variation, 0, average_size - 1)
  }
  return Object.freeze(checked)
}

const MAX_NAME = 100
