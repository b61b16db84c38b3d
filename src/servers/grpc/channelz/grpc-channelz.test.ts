import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../../test/fixtures/echo/echo_pb.ts'
import { grpcClient } from '../../../clients/grpc/grpc-client.ts'
import { httpClient } from '../../../clients/http/http-client.ts'
import { ip } from '../../../core/address.ts'
import { GrpcError } from '../../../protocols/grpc/grpc-error.ts'
import {
  Channelz,
  ChannelConnectivityState_State as State,
} from '../../../protocols/grpc/proto/grpc/channelz/v1/channelz_pb.ts'
import { HttpResponse } from '../../../protocols/http/messages.ts'
import { tcp } from '../../../transports/tcp/tcp.ts'
import { rpcServer } from '../../connect/rpc-server.ts'
import { httpServer } from '../../http/http-server.ts'
import { type GrpcService, grpcServer, grpcService } from '../grpc-service.ts'
import { grpcChannelz } from './grpc-channelz.ts'

test('grpcChannelz shows servers, their calls and their connections', async () => {
  const channelz = grpcChannelz()
  const ask = grpcClient(Channelz, channelz.service)
  await using server = httpServer(channelz.counted('api', rpcServer([echo()])))
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  assert.ok(address.kind === 'ip')
  const remove = channelz.server('api', server)
  assert.throws(() => channelz.server('api', server), { code: 'ERR_ARGUMENT' })
  await using channel = httpClient(`http://127.0.0.1:${address.port}`)
  const client = grpcClient(Echo, channel, { protocol: 'connect' })
  await client.say({})
  await assert.rejects(client.fail({ code: 5 }))
  for await (const _ of client.expand({ count: 3 }));
  await assert.rejects(async () => {
    for await (const _ of client.expand({ count: 3, failAfter: 1, failCode: 8 }));
  })
  const { server: servers, end } = await ask.getServers({})
  assert.equal(end, true)
  const [shown] = servers
  assert.equal(shown?.ref?.name, 'api')
  const { callsStarted, callsSucceeded, callsFailed, lastCallStartedTimestamp } = shown?.data ?? {}
  // A stream of Connect ends well for HTTP, whatever its last envelope says.
  assert.deepEqual([callsStarted, callsSucceeded, callsFailed], [4n, 3n, 1n])
  assert.ok((lastCallStartedTimestamp?.seconds ?? 0n) > 1_600_000_000n)
  const serverId = shown?.ref?.serverId ?? 0n
  assert.equal((await ask.getServer({ serverId })).server?.ref?.name, 'api')
  const { socketRef } = await ask.getServerSockets({ serverId })
  assert.equal(socketRef.length, 1)
  const { socket } = await ask.getSocket({ socketId: socketRef[0]?.socketId ?? 0n })
  assert.ok(socket?.local?.address.case === 'tcpipAddress')
  assert.deepEqual([...socket.local.address.value.ipAddress], [127, 0, 0, 1])
  assert.equal(socket.local.address.value.port, address.port)
  const options = socket.data?.option.map(({ name, value }) => `${name} ${value}`)
  assert.deepEqual(options?.slice(0, 3), ['transport tcp', 'state ready', 'idle true'])
  remove()
  assert.equal((await ask.getServers({})).server.length, 0)
  await assert.rejects(ask.getServer({ serverId }), { status: 'NOT_FOUND' })
  await assert.rejects(ask.getSocket({ socketId: 1n }), { status: 'NOT_FOUND' })
})

test('grpcChannelz counts a call by its status, and one that nobody reads to its end', async () => {
  const channelz = grpcChannelz()
  const ask = grpcClient(Channelz, channelz.service)
  const client = grpcClient(Echo, channelz.counted('direct', grpcServer([echo()])))
  await client.say({})
  await assert.rejects(client.fail({ code: 5 }))
  for await (const _ of client.expand({ count: 3 }));
  for await (const _ of client.expand({ count: 3 })) break
  await assert.rejects(async () => {
    for await (const _ of client.expand({ count: 3, failAfter: 1, failCode: 8 }));
  })
  const broken = grpcClient(
    Echo,
    channelz.counted('broken', () => assert.fail('no service')),
  )
  await assert.rejects(broken.say({}))
  const counts = (await ask.getServers({})).server.map(({ data }) => [
    ...[data?.callsStarted, data?.callsSucceeded, data?.callsFailed],
  ])
  assert.deepEqual(counts, [
    [5n, 2n, 3n],
    [1n, 0n, 1n],
  ])
})

test('grpcChannelz shows channels and their endpoints', async () => {
  const channelz = grpcChannelz()
  const ask = grpcClient(Channelz, channelz.service)
  await using server = httpServer(() => HttpResponse.text('hello'))
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const channel = httpClient('http://service.test', { endpoints: [{ address }] })
  const remove = channelz.channel('orders', channel)
  assert.throws(() => channelz.channel('orders', channel), { code: 'ERR_ARGUMENT' })
  const top = async () => (await ask.getTopChannels({})).channel[0]
  assert.equal((await top())?.data?.state?.state, State.IDLE)
  await channel.get('/')
  const shown = await top()
  assert.equal(shown?.data?.state?.state, State.READY)
  assert.deepEqual([shown?.data?.callsStarted, shown?.data?.callsSucceeded], [1n, 1n])
  const [endpoint] = shown?.subchannelRef ?? []
  const subchannelId = endpoint?.subchannelId ?? 0n
  const { subchannel } = await ask.getSubchannel({ subchannelId })
  assert.equal(subchannel?.data?.state?.state, State.READY)
  assert.match(subchannel?.data?.trace?.events[0]?.description ?? '', /^1 connections made/)
  const channelId = shown?.ref?.channelId ?? 0n
  assert.equal((await ask.getChannel({ channelId })).channel?.ref?.name, 'orders')
  await channel.close()
  assert.equal((await top())?.data?.state?.state, State.SHUTDOWN)
  remove()
  await assert.rejects(ask.getChannel({ channelId }), { status: 'NOT_FOUND' })
  await assert.rejects(ask.getSubchannel({ subchannelId }), { status: 'NOT_FOUND' })
})

test('grpcChannelz gives as many entries as it is asked for, and not more than it says', async () => {
  const channelz = grpcChannelz({ maxResults: 3 })
  const ask = grpcClient(Channelz, channelz.service)
  for (let at = 0; at < 5; at++) channelz.server(`server ${at}`, { connections: [] })
  const first = await ask.getServers({ maxResults: 2n })
  assert.deepEqual([first.server.length, first.end], [2, false])
  const next = (first.server[1]?.ref?.serverId ?? 0n) + 1n
  const rest = await ask.getServers({ startServerId: next, maxResults: 100n })
  assert.deepEqual([rest.server.length, rest.end], [3, true])
  assert.deepEqual((await ask.getServers({})).server.length, 3)
  for (const maxResults of [0, 100_001, 1.5]) {
    assert.throws(() => grpcChannelz({ maxResults }), { code: 'ERR_OPTION_RANGE' })
  }
})

function echo(): GrpcService {
  return grpcService(Echo, {
    say: ({ text }) => ({ text }),
    look: ({ text }) => ({ text }),
    async *expand({ count, failAfter, failCode }) {
      for (let number = 0; number < count; number++) {
        if (failAfter > 0 && number === failAfter) throw new GrpcError(failCode as 8, 'late')
        yield { number }
      }
    },
    collect: () => ({}),
    chat: () => [],
    fail({ code }) {
      throw new GrpcError(code as 5, 'no')
    },
  })
}
