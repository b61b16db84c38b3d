/** `heddle block send` and `heddle block listen`: over whatever transport the URL names. */
import { readFile } from 'node:fs/promises'
import { type Address, formatAddress } from '../core/address.ts'
import { UsageError } from '../core/errors.ts'
import { readTransportUrl } from '../core/multiaddr-url.ts'
import { BlockConnection, type BlockPeer } from '../links/blocks/block-connection.ts'
import { addressOf } from '../links/blocks/block-transport.ts'
import { type BlocksForOptions, blocksFor } from '../links/blocks/blocks-for.ts'
import { udpBlocks } from '../links/blocks/udp-blocks.ts'
import { generateEd25519Key, nodeSigning } from '../platform/node-signing.ts'
import type { Block } from '../protocols/olocus/block.ts'
import { hexText } from '../protocols/olocus/byte-text.ts'
import { WireFormat } from '../protocols/olocus/wire-format.ts'
import type { BlockCommand } from './block-arguments.ts'
import { integer, readBlock } from './block-files.ts'
import type { CliProcess } from './cli-process.ts'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

export async function blockSend(command: BlockCommand, terminal: Terminal): Promise<ExitCode> {
  const [url = '', ...files] = command.operands
  const seconds = integer('timeout', command.text['timeout']) ?? 10
  // Read first: a file that is not there should not be found out halfway.
  const blocks = await Promise.all(files.map((path) => readBlock(path, undefined)))
  const { transport } = readTransportUrl(withScheme(url))
  if (transport === 'udp') await sendDatagrams(command, url, blocks)
  else {
    const options = await optionsOf(command)
    const connection = await blocksFor(withScheme(url), options).connectTimeout(
      withScheme(url),
      seconds * 1_000,
    )
    for (const one of blocks) await connection.sendBlock(one)
    await connection.close()
    // A peer that took them says nothing; one that did not ends the connection with its reason.
    const reason = await connection.closed
    if (reason !== undefined) throw reason
  }
  terminal.out(`${blocks.length} ${blocks.length === 1 ? 'block' : 'blocks'} sent to ${url}\n`)
  return ExitCode.OK
}

async function sendDatagrams(
  command: BlockCommand,
  url: string,
  blocks: readonly Block[],
): Promise<void> {
  const socket = await udpBlocks({}, formatOption(command)).connect(addressOf(withScheme(url)))
  const reliable = command.flags.has('reliable')
  try {
    for (const one of blocks) await socket.sendBlock(one, { reliable })
  } finally {
    await socket.close()
  }
}

/** Runs until `--count` blocks have come, or a signal. */
export async function blockListen(
  command: BlockCommand,
  host: CliProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const [url = ''] = command.operands
  const wanted = integer('count', command.text['count']) ?? Number.POSITIVE_INFINITY
  let count = 0
  let done!: () => void
  const over = new Promise<void>((resolve) => {
    done = resolve
  })
  // Lines come in the order of the blocks, though a hash may be computed elsewhere.
  let printing: Promise<void> = Promise.resolve()
  const onBlock = (block: Block, from: Address): void => {
    if (count >= wanted) return
    count += 1
    printing = printing.then(() => print(block, from, command.flags.has('json'), terminal))
    if (count >= wanted) void printing.then(done)
  }
  const onProblem = (error: Error): void =>
    terminal.err(`${terminal.errStyle.red('refused')} ${error.message}\n`)
  const closer = await startListening(command, url, { onBlock, onProblem }, terminal)
  host.on('SIGINT', done)
  host.on('SIGTERM', done)
  try {
    await over
  } finally {
    host.off('SIGINT', done)
    host.off('SIGTERM', done)
    await closer()
  }
  return ExitCode.OK
}

interface Heard {
  onBlock(block: Block, from: Address): void
  onProblem(error: Error): void
}

async function startListening(
  command: BlockCommand,
  url: string,
  heard: Heard,
  terminal: Terminal,
): Promise<() => Promise<void>> {
  const at = withScheme(url)
  const history = command.flags.has('history') ? { rules: {} } : {}
  if (readTransportUrl(at).transport === 'udp') {
    const key = generateEd25519Key() // of this run: it says that a block has come, not who we are
    const options = { ...formatOption(command), ...history, acknowledgeWith: key }
    const socket = await udpBlocks({ reuseAddr: false }, options).bind(at)
    socket.onProblem = heard.onProblem
    socket.onBlock(heard.onBlock)
    terminal.err(`listening on udp ${formatAddress(socket.localAddr)}\n`)
    return () => socket.close()
  }
  const options = { ...(await optionsOf(command)), ...history }
  const listener = await blocksFor(at, options).listen(at, {
    onError: heard.onProblem,
    onConnection: (connection) => {
      connection.onBlock((block) => heard.onBlock(block, connection.peerAddr))
      void connection.closed.then((reason) => {
        if (reason !== undefined) heard.onProblem(reason)
      })
      void closeWithPeer(connection)
    },
  })
  terminal.err(
    `listening on ${readTransportUrl(at).transport} ${formatAddress(listener.localAddr)}\n`,
  )
  // Peers that are about to end do so by themselves.
  return () => listener.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) })
}

/** Its part of a clean end, when the peer has said that no more comes. */
async function closeWithPeer(connection: BlockPeer): Promise<void> {
  if (!(connection instanceof BlockConnection)) return // QUIC ends by itself
  await connection.ended
  await connection.close()
}

async function print(
  block: Block,
  from: Address,
  json: boolean,
  terminal: Terminal,
): Promise<void> {
  const { index, timestamp, payloadType, payloadSize, payload } = block
  const hash = hexText(await block.hash(nodeSigning))
  const key = hexText(block.publicKey)
  if (json) {
    const facts = { index: String(index), hash, timestamp: String(timestamp), key }
    const from_ = formatAddress(from)
    const line = { ...facts, type: payloadType, bytes: payloadSize, from: from_, payload }
    terminal.out(`${JSON.stringify(line)}\n`)
    return
  }
  // Text of a stranger: JSON escapes whatever a terminal would obey.
  const shown = payload === undefined ? `${payloadSize} bytes` : JSON.stringify(payload)
  const text = shown.length > 200 ? `${shown.slice(0, 200)}…` : shown
  terminal.out(`block ${index} ${hash} by ${key}: ${printable(text)}\n`)
}

/** JSON leaves characters above ASCII as they are, and some of them move the cursor. */
function printable(text: string): string {
  return text.replace(/[\u007f-\u009f\u2028\u2029]/g, (letter) => {
    return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

async function optionsOf(command: BlockCommand): Promise<BlocksForOptions> {
  const { ca, cert, key } = command.text
  const read = async (path: string): Promise<string> => await readFile(path, 'utf8')
  const trust = ca === undefined ? {} : { ca: await read(ca) }
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError('ERR_ARGUMENT', '--cert and --key belong together')
  }
  const pair =
    cert === undefined || key === undefined
      ? undefined
      : { certificate: await read(cert), key: await read(key) }
  return {
    ...formatOption(command),
    maxMessageBytes: MAX_MESSAGE_BYTES,
    tls: { ...trust, ...(pair && { credentials: pair }) },
    quic: {
      options: { ...trust },
      ...(pair && { certChain: pair.certificate, privateKey: pair.key }),
    },
  }
}

function formatOption(command: BlockCommand): { format?: WireFormat } {
  const { format } = command.text
  return format === undefined ? {} : { format: WireFormat.parse(format) }
}

/** `8080` and `host:port` are TCP; a port alone is on loopback. */
function withScheme(url: string): string {
  if (/^\d{1,5}$/.test(url)) return `tcp://127.0.0.1:${url}`
  if (/^[a-z][a-z0-9+]*:\/\/:\d/i.test(url)) return url.replace('://:', '://127.0.0.1:')
  return /^(?:[a-z][a-z0-9+._-]*:(?!\d+$)|\/)/i.test(url) ? url : `tcp://${url}`
}

const MAX_MESSAGE_BYTES = 24 * 1_048_576 // any block that is legal, in any encoding
const CLOSE_TIMEOUT_MS = 2_000
