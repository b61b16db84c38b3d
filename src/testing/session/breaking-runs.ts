/**
 * A scenario that is broken off at every offset of the conversation: lost, ended, noise, silence.
 */
import type { Harness } from '../harness.ts'
import { SeededRandom } from '../seeded-random.ts'
import { checkLeftovers, type SessionScenario, startScenario } from './scenario-runs.ts'
import { type PairSubject, SessionPair } from './session-pair.ts'
import type { SessionSide } from './session-side.ts'

type SideName = 'client' | 'server'
type AnySide = SessionSide<never, never>
type AnyPair = SessionPair<never, never, never, never>
/** What happens at the offset. */
type Break = (side: AnySide, offset: number) => void
/** When everything has come to rest after it. */
type Afterwards = (pair: AnyPair, side: AnySide) => void

export class BreakingRuns<CC, CE, SC, SE> {
  readonly #subject: PairSubject<CC, CE, SC, SE>
  readonly #scenario: SessionScenario<CC, CE, SC, SE>
  readonly #harness: Harness
  readonly #seed: number

  constructor(
    subject: PairSubject<CC, CE, SC, SE>,
    scenario: SessionScenario<CC, CE, SC, SE>,
    harness: Harness,
    seed: number,
  ) {
    this.#subject = subject
    this.#scenario = scenario
    this.#harness = harness
    this.#seed = seed
  }

  /** Both sides hear that the connection is gone. */
  lost(): void {
    this.#atEveryOffset(() => {})
  }

  /** One side hears the end of input; the connection lives on until it is closed. */
  ended(): void {
    const end: Break = (side) => {
      side.inbox = []
      side.inboxEnded = true
      side.reads = true
    }
    this.#atEveryOffset(end, (_pair, side) => checkEnded(side))
  }

  /** What follows is noise. */
  noise(): void {
    this.#atEveryOffset((side, offset) => {
      const random = new SeededRandom(this.#seed + offset)
      side.inbox = [...random.bytes(random.integer(1, MAX_NOISE_BYTES))]
      side.reads = true
    })
  }

  /** Nothing follows, for an hour: whatever timer there is fires. */
  silence(): void {
    this.#atEveryOffset(
      () => {},
      (pair) => pair.advance(HOUR_MS),
    )
  }

  /** Without an owner that answers, so that nothing but the cut differs. */
  noiseOnly(): void {
    for (const name of SIDES) {
      for (let round = 0; round < NOISES; round++) {
        const seed = this.#seed + round
        const outcomes = [Number.POSITIVE_INFINITY, 1, 3].map((chunkBytes) => {
          const pair = new SessionPair(this.#subject, { chunkBytes })
          const side = pair[name]
          const random = new SeededRandom(seed)
          side.inbox = [...random.bytes(random.integer(0, MAX_NOISE_BYTES))]
          pair.settle()
          pair.close()
          checkLeftovers(pair, this.#harness)
          return `${side.session.failure?.code} ${side.transcript.lines.join('\n')}`
        })
        const [whole] = outcomes
        for (const outcome of outcomes) {
          const message = `${name}, seed ${seed}: ${outcome} against ${whole}`
          if (outcome !== whole) this.#harness.ok(false, message)
        }
      }
    }
  }

  /** Fresh, failed, ended, closed: no input may throw, and closed stays closed. */
  everyInput(): void {
    const inputs: Readonly<Record<string, (side: AnySide) => void>> = {
      noise: (side) => side.give(new SeededRandom(this.#seed).bytes(64)),
      end: (side) => side.receiveEnd(),
      timeout: (side) => side.handleTimeout(),
      close: (side) => side.receiveClose(undefined),
      reset: (side) => side.receiveClose(new Error('reset')),
    }
    const names = Object.keys(inputs)
    for (const which of SIDES) {
      for (const first of names) {
        for (const second of names) {
          const pair = new SessionPair(this.#subject)
          const side = pair[which] as unknown as AnySide
          for (const input of [first, second, 'close', ...names]) inputs[input]?.(side)
          pair.close()
          checkLeftovers(pair, this.#harness)
        }
      }
    }
  }

  #atEveryOffset(breakOff: Break, afterwards: Afterwards = () => {}): void {
    for (const name of SIDES) {
      const total = this.#totalBytes(name)
      for (const offset of offsetsOf(total, this.#seed)) {
        const where = `${name} after ${offset} of ${total} bytes`
        try {
          this.#breakAt(name, offset, breakOff, afterwards)
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error)
          throw new Error(`${where}: ${message}`, { cause: error })
        }
      }
    }
  }

  #breakAt(name: SideName, offset: number, breakOff: Break, afterwards: Afterwards): void {
    const pair = startScenario(this.#subject, this.#scenario, { chunkBytes: 1 })
    const side = pair[name] as unknown as AnySide
    playUntil(pair, name, offset)
    breakOff(side, offset)
    pair.settle()
    afterwards(pair as unknown as AnyPair, side)
    pair.close(new Error('the connection is gone'))
    checkLeftovers(pair, this.#harness)
  }

  #totalBytes(name: SideName): number {
    const pair = startScenario(this.#subject, this.#scenario, {})
    pair.settle()
    const { receivedBytes } = pair[name]
    pair.close()
    return receivedBytes
  }
}

/** A peer that has ended answers nothing any more, so nothing may go on waiting for it. */
function checkEnded({ session, transcript, name, endDelivered }: AnySide): void {
  if (!endDelivered || session.state === 'closed' || session.state === 'detached') return
  const waiting = transcript.waiting[0]
  if (waiting !== undefined) throw new Error(`exchange ${waiting} waits for a peer that has ended`)
  if (transcript.open.length > 0 || session.pollTimeout() !== undefined) return
  throw new Error(`${name} is ${session.state}, has no timer, and its peer has ended`)
}

/** Goes on until the side has been given `offset` bytes; it is given no more after that. */
function playUntil<CC, CE, SC, SE>(
  pair: SessionPair<CC, CE, SC, SE>,
  name: SideName,
  offset: number,
): void {
  const side = pair[name]
  const held: number[] = []
  // The rest of what arrives is set aside before the side sees it.
  for (;;) {
    const allowed = offset - side.receivedBytes
    if (side.inbox.length > allowed) held.push(...side.inbox.splice(allowed))
    if (allowed === 0) side.reads = false
    const stepped = [pair.client.step(), pair.server.step()].includes(true)
    if (!stepped && pair.clock.pendingDeferred === 0) break
    pair.clock.flush()
  }
  side.inbox = held
}

/** All offsets of a short conversation; of a long one, the first, the last and seeded ones. */
function offsetsOf(total: number, seed: number): readonly number[] {
  if (total <= MAX_OFFSETS) return Array.from({ length: total + 1 }, (_, offset) => offset)
  const random = new SeededRandom(seed)
  const offsets = new Set<number>([0, 1, total - 1, total])
  while (offsets.size < MAX_OFFSETS) offsets.add(random.integer(0, total))
  return [...offsets]
}

const SIDES: readonly SideName[] = ['client', 'server']
const MAX_OFFSETS = 120
const MAX_NOISE_BYTES = 200
const NOISES = 50
const HOUR_MS = 3_600_000
