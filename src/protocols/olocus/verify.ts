/**
 * Whether a block is true. The checks come in a fixed order, and the first that fails gives the code:
 *
 *     version → payload size → payload type → payload hash → signature
 *       → index, previous, time against the block before → time against the clock
 *
 * (Length and form were checked when it was decoded.)
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import { type Eventual, type SigningHost, whenReady } from '../../core/signing.ts'
import { BLOCK_VERSION, type Block, sameBytes } from './block.ts'
import { BLOCK_CODES, type BlockCode, type BlockCodeName, blockError } from './block-codes.ts'
import { isCanonicalScalar, isStrongKey } from './key-checks.ts'
import { type BlockLimits, type BlockRules, blockDefaults } from './options.ts'

export interface VerifyBlockOptions extends BlockRules, BlockLimits {
  host: SigningHost
  /** The block before, which is trusted. Without it only what the block says of itself is checked. */
  previous?: Block
}

export type BlockVerdict =
  | { readonly ok: true; readonly code: 0; readonly name: 'Ok' }
  | {
      readonly ok: false
      readonly code: BlockCode
      readonly name: BlockCodeName
      readonly message: string
    }

/** Never an error for what is in a block: the verdict says what is wrong. */
export function verifyBlock(block: Block, options: VerifyBlockOptions): Eventual<BlockVerdict> {
  const { host, previous } = options
  const rules = checkedRules(options)
  const form = checkForm(block, rules)
  if (form !== undefined) return form
  return whenReady(host.sha256(block.payloadBytes), (payloadHash) => {
    if (!sameBytes(payloadHash, block.payloadHash)) {
      return refuse('PayloadMismatch', 'the payload is not what the header has the hash of')
    }
    return whenReady(checkSignature(block, host), (genuine) => {
      if (!genuine) return refuse('InvalidSignature', 'the signature is not that of the key')
      if (previous === undefined) return checkClock(block, rules)
      return whenReady(previous.hash(host), (hash) => {
        return checkLink(block, previous, hash, rules) ?? checkClock(block, rules)
      })
    })
  })
}

/** As `verifyBlock`, with the verdict as a `ProtocolError`. */
export function assertBlock(block: Block, options: VerifyBlockOptions): Eventual<void> {
  return whenReady(verifyBlock(block, options), (verdict) => {
    if (!verdict.ok) throw blockError(verdict.name, verdict.message)
  })
}

export function verdictError(verdict: BlockVerdict): Error | undefined {
  return verdict.ok ? undefined : blockError(verdict.name, verdict.message)
}

interface CheckedRules {
  readonly maxPayloadBytes: number
  readonly maxFutureDriftSeconds: number
  readonly maxBlockAgeSeconds: number
  readonly now: number | undefined
  readonly live: boolean
  readonly strictTime: boolean
  readonly strictTypes: boolean
}

function checkedRules(options: VerifyBlockOptions): CheckedRules {
  const {
    maxPayloadBytes = blockDefaults.maxPayloadBytes,
    maxFutureDriftSeconds = blockDefaults.maxFutureDriftSeconds,
    maxBlockAgeSeconds = blockDefaults.maxBlockAgeSeconds,
    now,
    live = false,
    strictTime = false,
    strictTypes = true,
  } = options
  checkInteger('maxPayloadBytes', maxPayloadBytes, 0, 0xffff_ffff)
  checkInteger('maxFutureDriftSeconds', maxFutureDriftSeconds, 0, Number.MAX_SAFE_INTEGER)
  checkInteger('maxBlockAgeSeconds', maxBlockAgeSeconds, 0, Number.MAX_SAFE_INTEGER)
  if (live && now === undefined) {
    throw new UsageError('ERR_ARGUMENT', 'the age of a live block is measured by `now`')
  }
  return {
    maxPayloadBytes,
    maxFutureDriftSeconds,
    maxBlockAgeSeconds,
    now,
    live,
    strictTime,
    strictTypes,
  }
}

function checkForm(block: Block, rules: CheckedRules): BlockVerdict | undefined {
  const { version, payloadSize, payloadType } = block
  if (version < BLOCK_VERSION || version >> 8 !== BLOCK_VERSION >> 8) {
    const text = `version 0x${version.toString(16)}, must be 0x105 or a later minor of it`
    return refuse('VersionMismatch', text)
  }
  if (payloadSize > rules.maxPayloadBytes) {
    const text = `a payload of ${payloadSize} bytes is over the limit of ${rules.maxPayloadBytes}`
    return refuse('PayloadTooLarge', text)
  }
  if (rules.strictTypes && payloadType > 0xffff) {
    const text = `payload type 0x${payloadType.toString(16)} is above 0xffff`
    return refuse('UnknownPayloadType', text)
  }
  return undefined
}

function checkSignature(block: Block, host: SigningHost): Eventual<boolean> {
  const { publicKey, signature } = block
  if (!isCanonicalScalar(signature) || !isStrongKey(publicKey)) return false
  return host.verifyEd25519(publicKey, block.signedBytes(), signature)
}

function checkLink(
  block: Block,
  previous: Block,
  hash: Uint8Array,
  rules: CheckedRules,
): BlockVerdict | undefined {
  if (block.index !== previous.index + 1n) {
    return refuse('InvalidIndex', `index ${block.index} does not follow ${previous.index}`)
  }
  if (!sameBytes(block.previous, hash)) {
    return refuse('BrokenChain', `block ${block.index} is not built on the block before it`)
  }
  const { timestamp } = block
  if (timestamp < previous.timestamp || (rules.strictTime && timestamp === previous.timestamp)) {
    const what = rules.strictTime ? 'not after' : 'before'
    return refuse('TimestampRegression', `time ${timestamp} is ${what} ${previous.timestamp}`)
  }
  return undefined
}

function checkClock(block: Block, rules: CheckedRules): BlockVerdict {
  const { now, maxFutureDriftSeconds, maxBlockAgeSeconds, live } = rules
  if (now === undefined) return OK
  const ahead = block.timestamp - BigInt(Math.floor(now))
  if (ahead > BigInt(maxFutureDriftSeconds)) {
    const text = `time is ${ahead} s ahead, over the limit of ${maxFutureDriftSeconds} s`
    return refuse('TimestampTooFuture', text)
  }
  if (live && -ahead > BigInt(maxBlockAgeSeconds)) {
    const text = `time is ${-ahead} s ago, over the limit of ${maxBlockAgeSeconds} s`
    return refuse('TimestampTooOld', text)
  }
  return OK
}

function refuse(name: Exclude<BlockCodeName, 'Ok'>, message: string): BlockVerdict {
  return { ok: false, code: BLOCK_CODES[name], name, message }
}

const OK: BlockVerdict = Object.freeze({ ok: true, code: 0, name: 'Ok' })
