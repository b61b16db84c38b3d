/**
 * What each toxic does to what passes a stage. An effect decides about one piece at a time: let it
 * through now or later, changed, twice, or not at all; or cut the connection.
 */
import type { Timer } from '../clock.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { Toxic, ToxicCarrier, ToxicType } from './toxic.ts'

/** The stage that an effect works in. */
export interface EffectStage<Tag> {
  readonly carrier: ToxicCarrier
  /** Everything arrives, once. */
  readonly reliable: boolean
  readonly random: SeededRandom
  now(): number
  setTimer(at: number, callback: () => void): Timer
  /** Lets it through at `at`, a value of the clock; where there is an order, after what is before. */
  letThrough(bytes: Uint8Array, tag: Tag, at: number): void
  drop(bytes: Uint8Array): void
  cut(how: 'close' | 'reset'): void
}

export interface Effect<Tag> {
  pass(bytes: Uint8Array, tag: Tag): void
  /** When the end may pass. @default now */
  endAt?(): number
  /** The toxic is taken away. True: the connection cannot go on, too much of it is missing. */
  isFatal?(): boolean
  stop?(): void
}

export function createEffect<Tag>(toxic: Toxic, stage: EffectStage<Tag>): Effect<Tag> {
  return EFFECTS[toxic.type](toxic.attributes, stage, toxic)
}

type Make = <Tag>(a: Toxic['attributes'], stage: EffectStage<Tag>, toxic: Toxic) => Effect<Tag>

const EFFECTS: Readonly<Record<ToxicType, Make>> = {
  latency({ latency = 0, jitter = 0 }, stage) {
    return {
      pass(bytes, tag) {
        const delay = latency + (2 * stage.random.next() - 1) * jitter
        stage.letThrough(bytes, tag, stage.now() + Math.max(0, delay))
      },
      // The end travels as everything else does.
      endAt: () => stage.now() + latency,
    }
  },

  bandwidth({ rate = 0 }, stage) {
    let busyUntil = 0
    return {
      pass(bytes, tag) {
        if (rate === 0) return stage.letThrough(bytes, tag, stage.now())
        busyUntil = Math.max(busyUntil, stage.now())
        // As toxiproxy: what takes longer than 100 ms arrives in parts.
        const most = stage.carrier === 'stream' ? Math.max(1, Math.floor(rate * 100)) : bytes.length
        let at = 0
        do {
          const part = bytes.subarray(at, at + most)
          at += most
          busyUntil += part.length / rate
          stage.letThrough(part, tag, busyUntil)
        } while (at < bytes.length)
      },
    }
  },

  slow_close({ delay = 0 }, stage) {
    return {
      pass: (bytes, tag) => stage.letThrough(bytes, tag, stage.now()),
      endAt: () => stage.now() + delay,
    }
  },

  timeout({ timeout = 0 }, stage) {
    const at = stage.now() + timeout
    const timer = timeout > 0 ? stage.setTimer(at, () => stage.cut('close')) : undefined
    return {
      pass: (bytes) => stage.drop(bytes),
      // As toxiproxy: a stream that lacks its middle is not given back.
      isFatal: () => true,
      stop: () => timer?.cancel(),
    }
  },

  reset_peer({ timeout = 0 }, stage) {
    let timer: Timer | undefined
    return {
      pass(bytes) {
        stage.drop(bytes)
        if (timeout === 0) return stage.cut('reset')
        timer ??= stage.setTimer(stage.now() + timeout, () => stage.cut('reset'))
      },
      isFatal: () => timer !== undefined,
      stop: () => timer?.cancel(),
    }
  },

  slicer({ average_size = 1, size_variation = 0, delay = 0 }, stage) {
    let freeAt = 0
    return {
      pass(bytes, tag) {
        let at = 0
        while (at < bytes.length) {
          const size = average_size + stage.random.integer(-size_variation, size_variation)
          const piece = bytes.subarray(at, at + size)
          at += piece.length
          freeAt = Math.max(freeAt, stage.now())
          stage.letThrough(piece, tag, freeAt)
          freeAt += delay / 1_000
        }
      },
    }
  },

  limit_data({ bytes: limit = 0 }, stage) {
    let left = limit
    return {
      pass(bytes, tag) {
        // A message is not cut: the one that does not fit ends it.
        const part = stage.carrier === 'stream' ? bytes.subarray(0, left) : bytes
        if (left > 0 && part.length <= left) stage.letThrough(part, tag, stage.now())
        left -= Math.min(left, part.length)
        if (left === 0) stage.cut('close')
      },
    }
  },

  loss({ probability = 0, retransmit = 0 }, stage) {
    const delay = (): number => retransmitDelay(probability, retransmit, stage.random)
    return {
      pass(bytes, tag) {
        if (!stage.reliable) {
          if (stage.random.chance(probability)) stage.drop(bytes)
          else stage.letThrough(bytes, tag, stage.now())
          return
        }
        if (stage.carrier !== 'stream') {
          // Whole when its last segment has come; an empty message has a segment too.
          let longest = delay()
          for (let at = SEGMENT; at < bytes.length; at += SEGMENT) {
            longest = Math.max(longest, delay())
          }
          return stage.letThrough(bytes, tag, stage.now() + longest)
        }
        for (let at = 0; at < bytes.length; at += SEGMENT) {
          stage.letThrough(bytes.subarray(at, at + SEGMENT), tag, stage.now() + delay())
        }
      },
    }
  },

  reordering({ probability = 0, delay = 0 }, stage) {
    return {
      pass(bytes, tag) {
        const held = stage.random.chance(probability) ? delay : 0
        stage.letThrough(bytes, tag, stage.now() + held)
      },
    }
  },

  duplication({ probability = 0 }, stage) {
    return {
      pass(bytes, tag) {
        const twice = stage.random.chance(probability)
        stage.letThrough(bytes, tag, stage.now())
        if (twice) stage.letThrough(bytes.slice(), tag, stage.now())
      },
    }
  },

  corruption({ probability = 0, bits = 1 }, stage) {
    return {
      pass(bytes, tag) {
        // The memory is the link's own.
        if (bytes.length > 0 && stage.random.chance(probability)) {
          for (let flips = 0; flips < bits; flips++) flipBit(bytes, stage.random)
        }
        stage.letThrough(bytes, tag, stage.now())
      },
    }
  },

  partition(_, stage, toxic) {
    const until = partitionEnd(toxic)
    return {
      pass(bytes, tag) {
        if (stage.reliable) stage.letThrough(bytes, tag, until)
        else if (stage.now() < until) stage.drop(bytes)
        else stage.letThrough(bytes, tag, stage.now())
      },
      endAt: () => Math.max(until, stage.now()),
    }
  },
}

/** Every connection is cut off until the same moment. */
export function partitionEnd({ attributes: { duration = 0 }, since }: Toxic): number {
  return duration > 0 ? since + duration : Number.POSITIVE_INFINITY
}

function retransmitDelay(probability: number, retransmit: number, random: SeededRandom): number {
  if (probability >= 1) return Number.POSITIVE_INFINITY
  let delay = 0
  let timeout = retransmit
  // As TCP: the timeout doubles, and is never longer than two minutes (RFC 6298, section 2.5).
  while (random.chance(probability)) {
    delay += timeout
    timeout = Math.min(2 * timeout, 120_000)
  }
  return delay
}

function flipBit(bytes: Uint8Array, random: SeededRandom): void {
  const at = random.integer(0, bytes.length * 8 - 1)
  bytes[at >> 3] = (bytes[at >> 3] as number) ^ (1 << (at & 7))
}

/** Of Ethernet: 1,500 bytes less the headers of IPv4 and TCP. */
const SEGMENT = 1_460
