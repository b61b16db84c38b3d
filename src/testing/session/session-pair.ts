/**
 * A client session and a server session joined by two byte pipes on a manual clock: a driver for
 * each and a link between them, as small as the kit can have them, since it may import core only.
 */
import { ManualClock } from '../manual-clock.ts'
import { SeededRandom } from '../seeded-random.ts'
import { SessionSide, type SidePace, type SideSubject } from './session-side.ts'

export interface PairSubject<ClientCommand, ClientEvent, ServerCommand, ServerEvent> {
  readonly client: SideSubject<ClientCommand, ClientEvent>
  readonly server: SideSubject<ServerCommand, ServerEvent>
}

export interface PaceOptions {
  /** @default all there is */
  chunkBytes?: number
  /** Random chunk lengths up to `chunkBytes`. */
  seed?: number
  /** @default unlimited */
  room?: number
  /** @default 1 */
  flushEvery?: number
}

export class SessionPair<ClientCommand, ClientEvent, ServerCommand, ServerEvent> {
  readonly clock: ManualClock = new ManualClock()
  readonly client: SessionSide<ClientCommand, ClientEvent>
  readonly server: SessionSide<ServerCommand, ServerEvent>
  readonly #flushEvery: number

  constructor(
    subject: PairSubject<ClientCommand, ClientEvent, ServerCommand, ServerEvent>,
    options: PaceOptions = {},
  ) {
    const pace = makePace(options)
    this.#flushEvery = pace.flushEvery
    this.client = new SessionSide('client', subject.client, this.clock, pace)
    this.server = new SessionSide('server', subject.server, this.clock, pace)
    this.client.peer = this.server
    this.server.peer = this.client
  }

  /** Goes on until neither side has anything to do at this moment. */
  settle(): void {
    let idleRounds = 0
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
      const deferred = this.clock.pendingDeferred > 0
      if (deferred) this.clock.flush()
      const stepped = [this.client.step(), this.server.step()].includes(true)
      if (stepped || deferred || this.clock.pendingDeferred > 0) idleRounds = 0
      else idleRounds += 1
      // What waits in a stream's queue shows only in a round that flushes.
      if (idleRounds >= this.#flushEvery) return
    }
    throw new Error('the sessions do not come to rest')
  }

  /** Moves time on; sessions whose time came hear of it. */
  advance(ms: number): void {
    const end = this.clock.now() + ms
    for (let rounds = 0; rounds < MAX_TIMERS; rounds++) {
      const at = this.#nextTimeout()
      if (at === undefined || at > end) break
      this.clock.advance(Math.max(0, at - this.clock.now()))
      this.#fire()
      this.settle()
    }
    this.clock.advance(end - this.clock.now())
    this.settle()
  }

  /** The link closes on both sides, cleanly or with a reason. */
  close(reason?: Error): void {
    this.client.receiveClose(reason)
    this.server.receiveClose(reason)
  }

  #nextTimeout(): number | undefined {
    let next = this.clock.nextTimerAt
    for (const { session } of [this.client, this.server]) {
      const at = session.pollTimeout()
      if (at !== undefined && (next === undefined || at < next)) next = at
    }
    return next
  }

  #fire(): void {
    const now = this.clock.now()
    for (const side of [this.client, this.server]) {
      const at = side.session.pollTimeout()
      if (at === undefined || at > now) continue
      side.handleTimeout()
      const next = side.session.pollTimeout()
      if (next !== undefined && next <= now) {
        throw new Error(`${side.name}: pollTimeout is still ${next} after handleTimeout(${now})`)
      }
    }
  }
}

function makePace(options: PaceOptions): SidePace {
  const {
    chunkBytes = Number.POSITIVE_INFINITY,
    seed,
    room = Number.POSITIVE_INFINITY,
    flushEvery = 1,
  } = options
  const random = seed === undefined ? undefined : new SeededRandom(seed)
  return {
    chunkBytes: () => (random === undefined ? chunkBytes : random.integer(1, chunkBytes)),
    room,
    flushEvery,
  }
}

const MAX_ROUNDS = 5_000_000
/** Keep-alives set a timer again and again. */
const MAX_TIMERS = 1_000
