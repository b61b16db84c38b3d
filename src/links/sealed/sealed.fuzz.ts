/** Any bytes for a hello or a record: refused as a HeddleError, never taken, never another error. */
import { HeddleError } from '../../core/errors.ts'
import { SealCodec } from './seal-codec.ts'
import { resolveSealedOptions } from './seal-options.ts'

const settings = resolveSealedOptions({
  keys: [{ id: 'a', key: new Uint8Array(32).fill(7) }],
  randomBytes: (salt) => void salt.fill(9),
})

function ready(): { near: SealCodec; far: SealCodec } {
  const near = new SealCodec(settings, 'initiating')
  const far = new SealCodec(settings, 'accepting')
  const [answer, theirs] = far.receiveHandshake(near.begin()[0] as Uint8Array)
  const [ours] = near.receiveHandshake(answer as Uint8Array)
  near.receiveHandshake(theirs as Uint8Array)
  far.receiveHandshake(ours as Uint8Array)
  return { near, far }
}

/** Valid inputs to start from. Salts are the same every time, so a record is one of every run. */
export const samples: readonly Uint8Array[] = [
  new SealCodec(settings, 'initiating').begin()[0] as Uint8Array,
  genuine(),
]
const VALID = genuine()

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const valid = VALID
  const same = bytes.length === valid.length && bytes.every((byte, at) => byte === valid[at])
  let opened = false
  try {
    ready().far.open(bytes)
    opened = true
  } catch (error) {
    if (!(error instanceof HeddleError)) throw error
  }
  if (opened !== same)
    throw new Error(opened ? 'a forged record was taken' : 'a genuine one was not')
  try {
    new SealCodec(settings, 'accepting').receiveHandshake(bytes)
  } catch (error) {
    if (!(error instanceof HeddleError) || error.code !== 'ERR_SEAL') throw error
  }
}

function genuine(): Uint8Array {
  let record = new Uint8Array(0)
  ready().near.seal(new Uint8Array(20), 0, (pieces) => {
    record = Buffer.concat(pieces)
  })
  return record
}
