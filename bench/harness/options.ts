/**
 * The command line of `npm run bench`.
 */
import { parseArgs } from 'node:util'

export interface Options {
  readonly help: boolean
  /** Suites (`server`) and scenarios (`server:hello`); empty for all. */
  readonly words: readonly string[]
  /** Names of contestants; empty for all. */
  readonly contestants: readonly string[]
  readonly peers: 'present' | 'all' | 'node'
  readonly rounds: number
  readonly milliseconds: number
  readonly warmUpMilliseconds: number
  /** Idle connections of the memory suite. */
  readonly connections: number
  readonly ownLoad: boolean
  readonly smoke: boolean
  readonly write: boolean
  /** For the report. */
  readonly command: string
}

export const HELP = `npm run bench -- [suite | suite:scenario ...] [options]

Suites: echo, server, http2-server, client, http2-client, websocket, grpc, udp, gateway, memory. Everything without a word.
npm run bench -- micro [words] [--help] measures single functions instead.

  --rounds <n>         interleaved rounds (default 5)
  --seconds <n>        measured seconds of each contestant in each round (default 2)
  --connections <n>    idle connections of the memory suite (default 5000)
  --peers <which>      present: programs that are installed (default); all: a missing one is an
                       error; node: only what runs in Node
  --only <name>        only this contestant (may be repeated)
  --load <which>       wrk where installed (default), or own: the generator in bench/load
  --write              write bench/RESULTS.md; the default of a complete run with default settings
  --no-write           do not
  --smoke              one short round: checks every answer and that every figure can be had
  --help`

/** @throws Error that says what is wrong with the command line */
export function parseOptions(parameters: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...parameters],
    allowPositionals: true,
    allowNegative: true,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string' },
      peers: { type: 'string', default: 'present' },
      only: { type: 'string', multiple: true, default: [] },
      load: { type: 'string', default: 'wrk' },
      write: { type: 'boolean' },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { smoke, rounds, seconds, connections, peers, load, only } = values
  if (!PEERS.includes(peers as Options['peers'])) {
    throw new Error(`--peers ${peers}: expected one of ${PEERS.join(', ')}`)
  }
  if (load !== 'wrk' && load !== 'own') throw new Error(`--load ${load}: expected wrk or own`)
  const selected = positionals.length + only.length > 0 || peers === 'node' || load === 'own'
  const changed = rounds !== undefined || seconds !== undefined || connections !== undefined
  return {
    help: values.help,
    words: positionals,
    contestants: only,
    peers: peers as Options['peers'],
    rounds: smoke ? 1 : wholeNumber('--rounds', rounds, 5),
    milliseconds: smoke ? SMOKE_MILLISECONDS : wholeNumber('--seconds', seconds, 2) * 1000,
    warmUpMilliseconds: smoke ? SMOKE_WARM_UP_MILLISECONDS : WARM_UP_MILLISECONDS,
    connections: smoke ? SMOKE_CONNECTIONS : wholeNumber('--connections', connections, 5000),
    // wrk measures whole seconds, which is too long for a smoke.
    ownLoad: smoke || load === 'own',
    smoke,
    write: !smoke && (values.write ?? !(selected || changed)),
    command: ['npm run bench', ...(parameters.length > 0 ? ['--', ...parameters] : [])].join(' '),
  }
}

function wholeNumber(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1) return value
  throw new Error(`${name} ${text}: expected a whole number of at least 1`)
}

const PEERS: readonly Options['peers'][] = ['present', 'all', 'node']
const WARM_UP_MILLISECONDS = 500
const SMOKE_MILLISECONDS = 200
const SMOKE_WARM_UP_MILLISECONDS = 25
const SMOKE_CONNECTIONS = 200
