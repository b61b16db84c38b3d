/**
 * `heddle block`: keys, blocks, and blocks from one process to another.
 *
 * A secret is never printed. Its file is made for its owner only, and one that others may read is
 * refused.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { HeddleError, toError, UsageError } from '../core/errors.ts'
import { nodeHost } from '../platform/node-host.ts'
import {
  type Ed25519Key,
  ed25519Key,
  generateEd25519Key,
  nodeSigning,
} from '../platform/node-signing.ts'
import { operatingSystem } from '../platform/process-access.ts'
import { systemClock } from '../platform/system-clock.ts'
import type { Block } from '../protocols/olocus/block.ts'
import { blockCodeOf } from '../protocols/olocus/block-codes.ts'
import { hexText } from '../protocols/olocus/byte-text.ts'
import { verifyChain } from '../protocols/olocus/chain.ts'
import { toWireFormat } from '../protocols/olocus/compressed.ts'
import { createGenesis, createNext } from '../protocols/olocus/create.ts'
import { type BlockPayload, bytesPayload, PRIVATE_TYPE } from '../protocols/olocus/payload.ts'
import { verifyBlock } from '../protocols/olocus/verify.ts'
import { WireFormat } from '../protocols/olocus/wire-format.ts'
import { BLOCK_HELP, type BlockCommand, readBlockArguments } from './block-arguments.ts'
import { integer, readBlock } from './block-files.ts'
import { blockListen, blockSend } from './block-peers.ts'
import type { CliProcess } from './cli-process.ts'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

/** What a command needs of `process`: standard input as well. */
export type BlockProcess = CliProcess & { readonly stdin?: AsyncIterable<unknown> }

export async function block(
  args: readonly string[],
  host: BlockProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const command = readBlockArguments(args)
  if (command === undefined) {
    terminal.out(BLOCK_HELP)
    return ExitCode.OK
  }
  if (typeof command === 'string') return usage(command, terminal)
  try {
    switch (command.verb) {
      case 'keygen':
        return await keygen(command, terminal)
      case 'create':
        return await create(command, host, terminal)
      case 'verify':
        return await verify(command, terminal)
      case 'send':
        return await blockSend(command, terminal)
      case 'listen':
        return await blockListen(command, host, terminal)
    }
  } catch (thrown) {
    const error = toError(thrown)
    terminal.err(`${terminal.errStyle.red('error')} ${error.message}\n`)
    return exitCodeOf(error)
  }
}

async function keygen(command: BlockCommand, terminal: Terminal): Promise<ExitCode> {
  const path = command.text['out'] as string
  const key = generateEd25519Key()
  // Made new, so that no key is lost, and nobody has it open already.
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(key.toPem())
  } finally {
    await file.close()
  }
  terminal.out(`${path}: public key ${hexText(key.publicKey)}\n`)
  return ExitCode.OK
}

async function create(
  command: BlockCommand,
  host: BlockProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const { text } = command
  const key = await readKey(text['key'] as string)
  const format = WireFormat.parse(text['format'] ?? 'binary')
  const timestamp =
    integer('timestamp', text['timestamp']) ?? Math.floor(systemClock.wallNow() / 1_000)
  const payload = await payloadOf(command, host)
  const options = { key, host: nodeSigning, timestamp }
  const { previous } = text
  const made =
    previous === undefined
      ? await createGenesis(payload, options)
      : await createNext(await readBlock(previous, undefined), payload, options)
  const bytes = await toWireFormat(made, format, nodeHost)
  const { out } = text
  if (out === undefined) {
    if (format.encoding === 'json' && format.compression === 'none') {
      terminal.out(`${new TextDecoder().decode(bytes)}\n`)
    } else if (host.stdout.isTTY === true) {
      throw new UsageError(
        'ERR_ARGUMENT',
        'a terminal is no place for bytes: --out, or --format json',
      )
    } else host.stdout.write(bytes)
    return ExitCode.OK
  }
  const file = await open(out, 'w')
  try {
    await file.writeFile(bytes)
  } finally {
    await file.close()
  }
  const hash = hexText(await made.hash(nodeSigning))
  terminal.out(`${out}: block ${made.index} ${hash}\n`)
  return ExitCode.OK
}

async function verify(command: BlockCommand, terminal: Terminal): Promise<ExitCode> {
  const { operands, text, flags } = command
  const format = text['format'] === undefined ? undefined : WireFormat.parse(text['format'])
  const now = Math.floor(systemClock.wallNow() / 1_000)
  const rules = { host: nodeSigning, now }
  const blocks: Block[] = []
  let code: ExitCode = ExitCode.OK
  for (const path of operands) {
    const { verdict, block: found } = await judge(path, format, flags.has('live'), now)
    if (found !== undefined) blocks.push(found)
    if (verdict.code !== 0) code = ExitCode.FAILURE
    terminal.out(await describe(path, found, verdict, flags.has('json'), terminal))
  }
  if (!flags.has('chain') || code !== ExitCode.OK) return code
  const chain = await verifyChain(blocks, rules)
  if (flags.has('json')) terminal.out(`${JSON.stringify({ chain: chain.name, at: chain.at })}\n`)
  else if (chain.ok) terminal.out(`a chain of ${blocks.length} blocks\n`)
  else {
    const { red } = terminal.outStyle
    terminal.out(`${operands[chain.at]}: ${red(chain.name)} ${chain.message}\n`)
  }
  return chain.ok ? ExitCode.OK : ExitCode.FAILURE
}

interface Verdict {
  readonly code: number
  readonly name: string
  readonly message?: string
}

/** What cannot be read at all is a verdict too: only a file that is not there is an error. */
async function judge(
  path: string,
  format: WireFormat | undefined,
  live: boolean,
  now: number,
): Promise<{ verdict: Verdict; block: Block | undefined }> {
  let found: Block
  try {
    found = await readBlock(path, format)
  } catch (error) {
    const name = blockCodeOf(error)
    if (name === undefined && !(error instanceof HeddleError)) throw error
    const { message, status } = error as HeddleError
    const code = typeof status === 'number' ? status : UNREADABLE.code
    return { verdict: { code, name: name ?? UNREADABLE.name, message }, block: undefined }
  }
  return { verdict: await verifyBlock(found, { host: nodeSigning, now, live }), block: found }
}

async function describe(
  path: string,
  found: Block | undefined,
  verdict: Verdict,
  json: boolean,
  terminal: Terminal,
): Promise<string> {
  const facts = found && {
    index: String(found.index),
    hash: hexText(await found.hash(nodeSigning)),
    timestamp: String(found.timestamp),
    key: hexText(found.publicKey),
    type: found.payloadType,
    bytes: found.payloadSize,
  }
  const { code, name, message } = verdict
  if (json) return `${JSON.stringify({ file: path, code, verdict: name, message, ...facts })}\n`
  const { green, red } = terminal.outStyle
  if (code !== 0) return `${path}: ${red(name)} (${code}) ${message}\n`
  const what = facts && `block ${facts.index} ${facts.hash} by ${facts.key}, ${facts.bytes} bytes`
  return `${path}: ${green('ok')} ${what}\n`
}

/** A key that others may read is no secret any more. */
async function readKey(path: string): Promise<Ed25519Key> {
  const file = await open(path, 'r')
  try {
    if ((await modeOf(file)) & 0o077) {
      const message = `${path} may be read by others: chmod 600 ${path}`
      throw new UsageError('ERR_CONFIG', message, { detail: { denied: true } })
    }
    return ed25519Key(await file.readFile('utf8'))
  } finally {
    await file.close()
  }
}

async function modeOf(file: FileHandle): Promise<number> {
  const { mode } = await file.stat()
  // Windows has no modes of this kind, and shows 0o666.
  return operatingSystem === 'win32' ? 0 : mode
}

async function payloadOf(command: BlockCommand, host: BlockProcess): Promise<BlockPayload> {
  const { text } = command
  const type = integer('type', text['type']) ?? PRIVATE_TYPE
  const { payload, 'payload-file': file } = text
  if (payload !== undefined && file !== undefined) {
    throw new UsageError('ERR_ARGUMENT', '--payload and --payload-file exclude each other')
  }
  if (payload !== undefined) return bytesPayload(new TextEncoder().encode(payload), type)
  if (file === undefined) return bytesPayload(new Uint8Array(0), type)
  if (file !== '-') return bytesPayload(new Uint8Array(await readFile(file)), type)
  const chunks: Uint8Array[] = []
  for await (const chunk of host.stdin ?? []) chunks.push(chunk as Uint8Array)
  return bytesPayload(new Uint8Array(Buffer.concat(chunks)), type)
}

function usage(message: string, terminal: Terminal): ExitCode {
  terminal.err(`${terminal.errStyle.red('heddle:')} ${message}\n`)
  terminal.err('heddle block --help lists commands and options\n')
  return ExitCode.USAGE
}

function exitCodeOf(error: Error): ExitCode {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return ExitCode.NO_INPUT
  if (code === 'EACCES' || code === 'EPERM') return ExitCode.NO_PERMISSION
  if (!(error instanceof HeddleError)) return ExitCode.FAILURE
  if (error.detail?.['denied'] === true) return ExitCode.NO_PERMISSION
  if (error.blame === 'caller') return ExitCode.USAGE
  return error.blame === 'peer' ? ExitCode.FAILURE : ExitCode.UNAVAILABLE
}

const UNREADABLE = Object.freeze({ code: 39, name: 'SerializationError' })
