/**
 * Signed blocks from one peer to another, over the transport that a URL names.
 *
 * Run it: node examples/library/blocks.ts
 */
import { blocksFor, networkErrorKind } from 'heddle/blocks'
import {
  createGenesis,
  createNext,
  generateEd25519Key,
  jsonPayload,
  nodeSigning,
  verifyChain,
  WireFormat,
} from 'heddle/protocols/olocus'

const key = generateEd25519Key()
const options = { key, host: nodeSigning, timestamp: Math.floor(Date.now() / 1000) }
const first = await createGenesis(jsonPayload({ hello: 'olocus' }), options)
const second = await createNext(first, jsonPayload({ n: 1 }), options)
console.log((await verifyChain([first, second], { host: nodeSigning })).name) // Ok

// `ws://`, `quic://`, `unix:/path` and others work alike.
const transport = blocksFor('tcp://127.0.0.1:0', { format: WireFormat.messagepack() })
await using listener = await transport.listen('tcp://127.0.0.1:0')
await using connection = await transport.connect(listener.localAddr)
await using peer = await listener.accept()

// What comes has been verified; the peer sends it back.
const stop = peer.onBlock((block) => void peer.sendBlock(block))
await connection.sendBlock(first)
await connection.sendBlock(second)
console.log((await connection.recvBlock()).payload) // { hello: 'olocus' }
console.log((await connection.recvBlock()).index) // 1n
stop()

// Raw messages travel on the same connection.
await connection.send(new TextEncoder().encode('not a block'))
console.log(new TextDecoder().decode(await peer.recv())) // not a block

// A block that somebody has changed ends the connection.
const forged = second.bytes.slice()
forged[150] = (forged[150] ?? 0) ^ 1
const trusting = blocksFor('tcp://127.0.0.1:0')
await using strict = await trusting.listen('tcp://127.0.0.1:0')
await using sender = await trusting.connect(strict.localAddr)
const receiver = await strict.accept()
await sender.send(forged)
console.log(await receiver.recvBlock().catch(networkErrorKind)) // InvalidBlock
