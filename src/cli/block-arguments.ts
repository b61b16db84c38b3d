/** The words after `heddle block`. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../gateway/config/suggestion.ts'

export interface BlockCommand {
  readonly verb: 'create' | 'keygen' | 'listen' | 'send' | 'verify'
  readonly operands: readonly string[]
  readonly text: Readonly<Record<string, string | undefined>>
  readonly flags: ReadonlySet<string>
}

/** A text: what is wrong. Undefined: help is asked for. */
export function readBlockArguments(args: readonly string[]): BlockCommand | string | undefined {
  const [verb, ...rest] = args
  if (verb === undefined || verb === '--help' || verb === '-h' || verb === 'help') return undefined
  if (!isVerb(verb)) {
    const hint = nearest(verb, Object.keys(OPTIONS))
    const meant = hint === undefined ? '' : `; did you mean '${hint}'?`
    return `block has no command '${verb}'${meant}`
  }
  const options = { ...OPTIONS[verb], help: { type: 'boolean', short: 'h' } } as const
  let parsed: { values: Readonly<Record<string, unknown>>; positionals: string[] }
  try {
    parsed = parseArgs({ args: rest, options, allowPositionals: true })
  } catch (error) {
    const unknown = /^Unknown option '(-[^']*)'/.exec((error as Error).message)?.[1]
    if (unknown === undefined) return (error as Error).message
    const hint = nearest(unknown.replace(/^-+/, ''), Object.keys(options))
    return `unknown option '${unknown}'${hint === undefined ? '' : `; did you mean '--${hint}'?`}`
  }
  const { values, positionals } = parsed
  if (values['help'] === true) return undefined
  const text: Record<string, string> = {}
  const flags = new Set<string>()
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string') text[name] = value
    else if (value === true) flags.add(name)
  }
  return checkOperands({ verb, operands: positionals, text, flags })
}

function checkOperands(command: BlockCommand): BlockCommand | string {
  const { verb, operands, text } = command
  const need = (name: string): string | undefined =>
    text[name] === undefined ? `block ${verb} needs --${name}` : undefined
  switch (verb) {
    case 'keygen':
      return need('out') ?? (operands.length > 0 ? 'block keygen takes no arguments' : command)
    case 'create':
      return need('key') ?? (operands.length > 0 ? 'block create takes no arguments' : command)
    case 'verify':
      return operands.length === 0 ? 'block verify takes at least one file' : command
    case 'send':
      return operands.length < 2 ? 'block send takes a URL and at least one file' : command
    case 'listen':
      return operands.length === 1 ? command : 'block listen takes one URL'
  }
}

type Options = NonNullable<ParseArgsConfig['options']>

const string = { type: 'string' } as const
const boolean = { type: 'boolean' } as const
const OPTIONS: Readonly<Record<BlockCommand['verb'], Options>> = {
  keygen: { out: string },
  create: {
    key: string,
    payload: string,
    'payload-file': string,
    type: string,
    previous: string,
    timestamp: string,
    format: string,
    out: string,
  },
  verify: { format: string, chain: boolean, live: boolean, json: boolean },
  send: { format: string, reliable: boolean, ca: string, timeout: string },
  listen: {
    format: string,
    count: string,
    json: boolean,
    cert: string,
    key: string,
    history: boolean,
  },
}

function isVerb(text: string): text is BlockCommand['verb'] {
  return Object.hasOwn(OPTIONS, text)
}

export const BLOCK_HELP = `heddle block: signed blocks (docs/blocks.md)

  heddle block keygen --out <file>         a new Ed25519 key, readable by its owner only
  heddle block create --key <file>         a block, on standard output
    --payload <text> | --payload-file <file>   what it carries; '-' is standard input  (nothing)
    --type <number>                        type of the payload                    (0x8000)
    --previous <file>                      the block it follows                   (none: a genesis)
    --timestamp <seconds>                  Unix seconds                           (now)
    --format <format>                      see below                              (binary)
    --out <file>
  heddle block verify <file …>             says of each whether it is true
    --format <format>                      (found out by its first bytes)
    --chain                                … and follows the one before
    --live                                 … and is not older than a day
    --json
  heddle block send <url> <file …>         sends blocks, one after the other
    --format <format>                      (binary; JSON over WebSocket)
    --reliable                             udp: again until each is acknowledged
    --ca <file>                            tls, quic, wss: authority to trust, PEM
    --timeout <seconds>                    for connecting                         (10)
  heddle block listen <url>                prints the blocks that come
    --count <number>                       ends after so many
    --format <format>
    --history                              takes blocks of any age
    --cert <file> --key <file>             tls, quic: certificate and its key, PEM
    --json                                 a line of JSON for each

  Formats: binary, json, messagepack, protobuf, ssz, with +gzip, +zstd or +lz4.
  URLs: tcp://host:port tls:// quic:// udp:// ws:// unix:/path, or a multiaddr; tcp://:8080 is loopback.

  heddle block keygen --out me.pem
  heddle block create --key me.pem --payload '{"hello":"olocus"}' --out genesis.block
  heddle block create --key me.pem --previous genesis.block --payload '{"n":1}' --out next.block
  heddle block verify --chain genesis.block next.block
  heddle block listen tcp://127.0.0.1:8080 &  heddle block send tcp://127.0.0.1:8080 next.block

Exit codes: 0; 1 a block is not true, or the peer said that it did not take it; 64 wrong arguments; 66 no such file;
69 nobody there; 77 a file is not ours to read, or a key that others may read
`
