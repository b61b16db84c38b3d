/** Blocks over QUIC, on a network in memory. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ca, credentials } from '../../../test/transports/quic-fixture.ts'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { memory } from '../../core/address.ts'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import { createGenesis } from '../../protocols/olocus/create.ts'
import { bytesPayload, jsonPayload } from '../../protocols/olocus/payload.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { quicAvailability } from '../../transports/quic/quic-availability.ts'
import { enterpriseQuicConfig } from './configs.ts'
import type { NegotiateOptions } from './negotiate.ts'
import { networkErrorKind } from './network-error.ts'
import { quicBlocks } from './quic-blocks.ts'
import type { QuicBlockConnection } from './quic-connection.ts'

const { available, reason } = quicAvailability()
const key = ed25519Key(new Uint8Array(32).fill(7))
const blockOf = (payload: unknown): Block =>
  createGenesis(payload instanceof Uint8Array ? bytesPayload(payload) : jsonPayload(payload), {
    key,
    host: nodeSigning,
    timestamp: Math.floor(Date.now() / 1_000),
  }) as Block

async function kindOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: unknown) => networkErrorKind(error),
  )
}

async function connected(): Promise<
  { client: QuicBlockConnection; server: QuicBlockConnection } & AsyncDisposable
> {
  const carrier = simulatedDatagrams()
  const listening = quicBlocks({}, { quic: { carrier, credentials } })
  const listener = await listening.listen(memory('0'))
  const dialling = quicBlocks({}, { quic: { carrier, ca, serverName: 'localhost' } })
  const [client, server] = await Promise.all([
    dialling.connect(listener.localAddr),
    listener.accept(),
  ])
  const dispose = async (): Promise<void> => {
    client.destroy()
    server.destroy()
    await listener.close({ signal: AbortSignal.abort() })
  }
  return { client, server, [Symbol.asyncDispose]: dispose }
}

describe('blocks over QUIC', { skip: available ? false : (reason ?? true) }, () => {
  test('a stream for each block, raw messages beside them, more than the peer allows at a time', async () => {
    await using world = await connected()
    const { client, server } = world
    const count = 150 // OpenSSL grants 100 streams at a time
    const payloads: number[] = []
    server.onBlock((block) => void payloads.push(block.payload as number))
    await Promise.all(Array.from({ length: count }, (_, n) => client.sendBlock(blockOf(n))))
    while (payloads.length < count) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(
      payloads.toSorted((a, b) => a - b),
      Array.from({ length: count }, (_, n) => n),
    )
    await server.send(Uint8Array.of(1, 2))
    assert.deepEqual(await client.recv(), Uint8Array.of(1, 2))
    assert.deepEqual([client.transportType, client.supportsMultiplexing], ['QUIC', true])
  })

  test('a request and its answer, and a stream that stays', async () => {
    await using world = await connected()
    const { client, server } = world
    server.onRequest((block) => blockOf([block.payload, 'answered']))
    const answers = await Promise.all([1, 2].map((n) => client.request(blockOf(n))))
    assert.deepEqual(
      answers.map((block) => block.payload),
      [
        [1, 'answered'],
        [2, 'answered'],
      ],
    )
    const taken = client.acceptStream()
    const stream = await server.openStream()
    await stream.sendBlock(blockOf('a'))
    const other = await taken
    assert.equal((await other.recvBlock()).payload, 'a')
    await stream.sendBlock(blockOf('b'))
    assert.equal((await other.recvBlock()).payload, 'b')
    await stream.finish()
    assert.equal(await kindOf(stream.sendBlock(blockOf('c'))), 'ConnectionClosed')
    assert.equal(await kindOf(other.recvBlock()), 'ConnectionClosed')
    await other.sendBlock(blockOf('d'))
    assert.equal((await stream.recvBlock()).payload, 'd')
  })

  test('what is no block closes the connection with code 3', async () => {
    await using world = await connected()
    const { client, server } = world
    const forged = blockOf('x').bytes.slice()
    forged[150] = (forged[150] as number) ^ 1
    const kind = kindOf(server.recvBlock())
    await client.send(forged)
    assert.equal(await kind, 'InvalidBlock')
    const reason = (await client.closed) as { detail?: Record<string, unknown>; status?: unknown }
    assert.match(JSON.stringify([reason.status, reason.detail]), /\b3\b/)
  })

  test('a message over the limit is not sent; a block of a megabyte less is', async () => {
    await using world = await connected()
    const { client, server } = world
    assert.equal(await kindOf(client.send(new Uint8Array(1_048_577))), 'PacketTooLarge')
    const block = blockOf(new Uint8Array(300_000).fill(1))
    const [, received] = await Promise.all([client.sendBlock(block), server.recvBlock()])
    assert.equal(Buffer.compare(received.bytes, block.bytes), 0)
  })

  test('hellos go first: format and keys are agreed, and what came meanwhile is received', async () => {
    const bob = ed25519Key(new Uint8Array(32).fill(8))
    const carrier = simulatedDatagrams()
    const formats = [WireFormat.msgpack(), WireFormat.binary()]
    const errors: Error[] = []
    const listening = quicBlocks(
      {},
      { quic: { carrier, credentials }, negotiate: { key: bob, formats: [WireFormat.msgpack()] } },
    )
    // The listener agrees first and sends at once: that may come before its confirmation.
    const listener = await listening.listen(memory('0'), {
      onError: (error) => void errors.push(error),
      onConnection: (server) => void server.sendBlock(blockOf('early')).catch(() => {}),
    })
    const dial = (negotiate: NegotiateOptions) =>
      quicBlocks({}, { quic: { carrier, ca, serverName: 'localhost' }, negotiate }).connect(
        listener.localAddr,
      )
    const client = await dial({ key, formats })
    assert.equal(String(client.agreement?.format), 'messagepack')
    assert.deepEqual(client.agreement?.peerKey, bob.publicKey)
    const received = await client.recv()
    assert.equal(received[0], 0x84) // MessagePack, a map of four
    client.destroy()

    assert.equal(await kindOf(dial({ key, formats: [WireFormat.json()] })), 'NegotiationFailed')
    await assert.rejects(dial({ key, formats, expectedKey: key.publicKey }), { status: 6 })
    while (errors.length < 2) await new Promise((resolve) => setImmediate(resolve))
    await listener.close({ signal: AbortSignal.abort() })
  })

  test('a peer that says no hello is given up in time', async () => {
    const carrier = simulatedDatagrams()
    const errors: Error[] = []
    const negotiate = { key, helloTimeoutMs: 20 }
    const listener = await quicBlocks({}, { quic: { carrier, credentials }, negotiate }).listen(
      memory('0'),
      { onError: (error) => void errors.push(error) },
    )
    const silent = await quicBlocks({}, { quic: { carrier, ca, serverName: 'localhost' } }).connect(
      listener.localAddr,
    )
    await silent.send(Uint8Array.of(1)) // no hello
    assert.ok((await silent.closed) instanceof Error)
    assert.equal((errors[0] as { code?: string }).code, 'ERR_CONNECT_TIMEOUT')
    await listener.close({ signal: AbortSignal.abort() })
  })

  test('a close is ConnectionClosed for who waits, on both sides', async () => {
    await using world = await connected()
    const { client, server } = world
    const waiting = [kindOf(client.recv()), kindOf(server.recvBlock())]
    await client.close()
    assert.deepEqual(await Promise.all(waiting), ['ConnectionClosed', 'ConnectionClosed'])
    assert.equal(await kindOf(client.sendBlock(blockOf(1))), 'ConnectionClosed')
  })
})

test('options of the seed that OpenSSL does not take are reported, and mistakes refused', () => {
  const { unsupported } = quicBlocks(enterpriseQuicConfig)
  assert.deepEqual(unsupported.map(({ option }) => option).sort(), [
    'initialMaxData',
    'initialMaxStreamData',
    'keepAliveMs',
  ])
  assert.throws(() => quicBlocks({ maxIdleTimeoutMs: 60_000 }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => quicBlocks({ certChain: 'x' }), { code: 'ERR_ARGUMENT' })
})
