/** What `matrix.test.ts` asks of gRPC, WebSocket and blocks over each transport, in both roles. */
import assert from 'node:assert/strict'
import { grpcChannel } from '../../src/clients/grpc/grpc-channel.ts'
import { grpcClient } from '../../src/clients/grpc/grpc-client.ts'
import { type Address, memory as memoryAddress } from '../../src/core/address.ts'
import type { Transport } from '../../src/core/transport.ts'
import { networkErrorKind } from '../../src/links/blocks/network-error.ts'
import { streamBlocks } from '../../src/links/blocks/stream-blocks.ts'
import { messageStream } from '../../src/links/message-stream/message-stream.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { ed25519Key, nodeSigning } from '../../src/platform/node-signing.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createGenesis, createNext } from '../../src/protocols/olocus/create.ts'
import { bytesPayload } from '../../src/protocols/olocus/payload.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { Echo } from '../fixtures/echo/echo_pb.ts'
import { echoService } from '../support/echo-service.ts'
import type { Carrier } from './carriers.ts'

/** All four kinds of calls, one that is given up in its middle, and an error. */
export async function exerciseGrpc(carrier: Carrier, scheme: 'http' | 'https'): Promise<void> {
  await using server = httpServer(echoService())
  const { address } = await server.listen(carrier.server, carrier.address)
  await using channel = grpcChannel(`${scheme}://localhost`, {
    transport: carrier.client,
    endpoints: [{ address, hostname: 'localhost' }],
  })
  const client = grpcClient(Echo, channel)
  assert.equal((await client.say({ text: 'hello' })).text, 'hello')
  const payload = new Uint8Array(100_000).fill(7)
  assert.equal((await client.collect([{ payload }, { payload }])).bytes, 200_000n)
  let count = 0
  for await (const { number } of client.expand({ count: 50, payloadBytes: 10_000 })) {
    assert.equal(number, count++)
  }
  assert.equal(count, 50)
  for await (const { text } of client.chat([{ text: 'x' }])) assert.equal(text, 'x')
  for await (const _ of client.expand({ count: 10_000, payloadBytes: 100 })) break
  await assert.rejects(client.fail({ code: 5, message: 'no' }), { status: 'NOT_FOUND' })
}

const SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_000_000]

/** Messages of every form of length, compressed, and a close from the client with its code. */
export async function exerciseWebSocket(carrier: Carrier): Promise<void> {
  const { listening, dialling, where } = fixed(carrier)
  const options = { compression: true, subprotocols: ['matrix'] }
  const closed = Promise.withResolvers<Error | undefined>()
  const listener = await webSocket({ ...options, carrier: listening }).listen(where, {
    onConnection(connection) {
      connection.open({
        onMessage: (message) => void connection.send(message.slice()),
        onText: (text) => void connection.sendText(text),
        onDrain() {},
        onEnd() {},
        onClose: closed.resolve,
      })
    },
  })
  const connection = await webSocket({ ...options, carrier: dialling }).connect(where)
  assert.equal(connection.subprotocol, 'matrix')
  const stream = messageStream(connection)
  const answers = stream[Symbol.asyncIterator]()
  for (const size of SIZES) {
    const message = new Uint8Array(size).fill(size & 0xff)
    await stream.send(message)
    const { value } = await answers.next()
    assert.equal(Buffer.compare(value as Uint8Array, message), 0, `${size} bytes`)
  }
  await stream.send('grüße')
  assert.equal((await answers.next()).value, 'grüße')
  await stream.close()
  assert.equal(await closed.promise, undefined)
  await listener.close({ signal: AbortSignal.abort() })
}

/** A chain both ways, raw bytes beside it, an end. */
export async function exerciseBlocks(carrier: Carrier, encrypted: boolean): Promise<void> {
  const { listening, dialling, where } = fixed(carrier)
  const listener = await streamBlocks(listening).listen(where)
  const [client, server] = await Promise.all([
    streamBlocks(dialling).connect(where),
    listener.accept(),
  ])
  assert.deepEqual([client.supportsEncryption, server.supportsEncryption], [encrypted, encrypted])
  const timestamp = Math.floor(systemClock.wallNow() / 1_000)
  const options = { key: ed25519Key(new Uint8Array(32).fill(7)), host: nodeSigning, timestamp }
  const first = await createGenesis(bytesPayload(new Uint8Array(1_000_000).fill(5)), options)
  const second = await createNext(first, bytesPayload(new Uint8Array(0)), options)
  await Promise.all([client.sendBlock(first), client.sendBlock(second), server.sendBlock(second)])
  await client.send(Uint8Array.of(1, 2, 3))
  for (const block of [first, second]) {
    assert.equal(Buffer.compare((await server.recvBlock()).bytes, block.bytes), 0)
  }
  assert.deepEqual(await server.recv(), Uint8Array.of(1, 2, 3))
  assert.deepEqual((await client.recvBlock()).bytes, second.bytes)
  const ended = server.recv().catch(networkErrorKind)
  await Promise.all([client.close(), ended.then(() => server.close())])
  assert.equal(await ended, 'ConnectionClosed')
  await listener.close({ signal: AbortSignal.abort() })
}

/** Whoever reads paths out of an address would take that of the carrier: here it is kept from them. */
function fixed(carrier: Carrier): { listening: Transport; dialling: Transport; where: Address } {
  let bound: Address | undefined
  const part = (inner: Transport): Transport => ({
    name: inner.name,
    traits: inner.traits,
    async listen(_, options) {
      const listener = await inner.listen(carrier.address, options)
      bound = listener.address
      return listener
    },
    connect: (_, options) => inner.connect(bound as Address, options),
  })
  const [listening, dialling] = [part(carrier.server), part(carrier.client)]
  return { listening, dialling, where: memoryAddress('matrix') }
}
