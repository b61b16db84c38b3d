/**
 * `grpc.channelz.v1`: what servers and channels of this process are doing, for `grpcdebug` and for
 * people (gRFC A14).
 *
 *     const channelz = grpcChannelz()
 *     const service = channelz.counted('api', rpcServer([users, channelz.service]))
 *     channelz.server('api', httpServer(service))
 *     channelz.channel('orders', ordersChannel)
 *
 * Everything is looked up when somebody asks: nothing is kept but counts. It tells who is connected:
 * serve it where only those who run the server can ask.
 */

import type { Clock } from '../../../core/clock.ts'
import { checkInteger, UsageError } from '../../../core/errors.ts'
import type { MaybePromise } from '../../../core/service.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import { GrpcError } from '../../../protocols/grpc/grpc-error.ts'
import { Channelz } from '../../../protocols/grpc/proto/grpc/channelz/v1/channelz_pb.ts'
import {
  type HttpRequest,
  HttpResponse,
  type HttpService,
} from '../../../protocols/http/messages.ts'
import { type GrpcService, grpcService } from '../grpc-service.ts'
import { CallCounter } from './call-counter.ts'
import { type ChannelLike, channelMessage, subchannelMessage } from './channel-messages.ts'
import {
  type ServerLike,
  type ServerSocket,
  serverMessage,
  socketMessage,
} from './server-messages.ts'

export interface GrpcChannelzOptions {
  /**
   * Entries of one answer where the caller names no number, and the most that it may name.
   *
   * @default 100: an answer stays below 64 KiB
   */
  maxResults?: number
  /** @default the system clock */
  clock?: Clock
}

export const grpcChannelzDefaults: Readonly<{ maxResults: number }> = Object.freeze({
  maxResults: 100,
})

export function grpcChannelz(options?: GrpcChannelzOptions): GrpcChannelz {
  return new GrpcChannelz(options)
}

interface ServerEntry {
  readonly id: number
  readonly name: string
  readonly counter: CallCounter
  running: ServerLike | undefined
}

interface ChannelEntry {
  readonly id: number
  readonly name: string
  readonly channel: ChannelLike
  readonly createdAt: number
}

export class GrpcChannelz {
  /** To be served beside the others. */
  readonly service: GrpcService
  readonly #clock: Clock
  readonly #maxResults: number
  readonly #servers = new Map<string, ServerEntry>()
  readonly #channels = new Map<string, ChannelEntry>()
  /** Endpoints of channels, which come and go with discovery. */
  readonly #subchannelIds = new WeakMap<object, number>()
  #lastId = 0

  constructor(options: GrpcChannelzOptions = {}) {
    const { maxResults = grpcChannelzDefaults.maxResults, clock = systemClock } = options
    this.#maxResults = checkInteger('maxResults', maxResults, 1, 100_000)
    this.#clock = clock
    this.service = grpcService(Channelz, {
      getServers: ({ startServerId, maxResults: most }) => {
        const { page, end } = this.#page([...this.#servers.values()], startServerId, most)
        return { server: page.map(serverMessage), end }
      },
      getServer: ({ serverId }) => ({ server: serverMessage(this.#server(serverId)) }),
      getServerSockets: ({ serverId, startSocketId, maxResults: most }) => {
        const sockets = this.#sockets(this.#server(serverId))
        const { page, end } = this.#page(sockets, startSocketId, most)
        return { socketRef: page.map(({ id, name }) => ({ socketId: BigInt(id), name })), end }
      },
      getSocket: ({ socketId }) => ({ socket: socketMessage(this.#socket(socketId)) }),
      getTopChannels: ({ startChannelId, maxResults: most }) => {
        const { page, end } = this.#page([...this.#channels.values()], startChannelId, most)
        return { channel: page.map((entry) => channelMessage(entry, this.#idOf)), end }
      },
      getChannel: ({ channelId }) => {
        const entry = find([...this.#channels.values()], channelId, 'channel')
        return { channel: channelMessage(entry, this.#idOf) }
      },
      getSubchannel: ({ subchannelId }) => ({ subchannel: this.#subchannel(subchannelId) }),
    })
  }

  /** The same service, with its calls counted as those of a server. */
  counted(name: string, next: HttpService): HttpService {
    const { counter } = this.#serverEntry(name)
    return (request: HttpRequest, context): MaybePromise<HttpResponse> => {
      const call = counter.start()
      try {
        const reply = next(request, context)
        if (reply instanceof HttpResponse) return call.follow(reply)
        return reply.then(
          (response) => call.follow(response),
          (error: unknown) => call.fail(error),
        )
      } catch (error) {
        return call.fail(error)
      }
    }
  }

  /** Shows a server and its connections. Returns what takes it out again, with its counts. */
  server(name: string, running: ServerLike): () => void {
    const entry = this.#serverEntry(name)
    if (entry.running !== undefined) {
      throw new UsageError('ERR_ARGUMENT', `a server ${JSON.stringify(name)} is shown already`)
    }
    entry.running = running
    return () => this.#servers.delete(name)
  }

  /** Shows a channel and its endpoints. Returns what takes it out again. */
  channel(name: string, channel: ChannelLike): () => void {
    if (this.#channels.has(name)) {
      throw new UsageError('ERR_ARGUMENT', `a channel ${JSON.stringify(name)} is shown already`)
    }
    const createdAt = this.#clock.wallNow()
    this.#channels.set(name, { id: this.#nextId(), name, channel, createdAt })
    return () => this.#channels.delete(name)
  }

  #serverEntry(name: string): ServerEntry {
    let entry = this.#servers.get(name)
    if (entry === undefined) {
      const counter = new CallCounter(this.#clock)
      entry = { id: this.#nextId(), name, counter, running: undefined }
      this.#servers.set(name, entry)
    }
    return entry
  }

  #server(id: bigint): ServerEntry {
    return find([...this.#servers.values()], id, 'server')
  }

  /** Ids of sockets are odd, all others even: no two things have the same. */
  #sockets({ running }: ServerEntry): ServerSocket[] {
    const sockets: ServerSocket[] = []
    for (const control of running?.connections ?? []) {
      const { id } = control.connection
      sockets.push({ id: id * 2 + 1, name: `connection ${id}`, control })
    }
    return sockets
  }

  #socket(id: bigint): ServerSocket {
    for (const entry of this.#servers.values()) {
      const found = this.#sockets(entry).find((socket) => BigInt(socket.id) === id)
      if (found !== undefined) return found
    }
    throw new GrpcError('NOT_FOUND', `no socket ${id}`)
  }

  #subchannel(id: bigint): ReturnType<typeof subchannelMessage> {
    for (const { channel } of this.#channels.values()) {
      for (const stack of channel.core.endpoints.nodes) {
        if (BigInt(this.#idOf(stack)) === id) return subchannelMessage(stack, channel, this.#idOf)
      }
    }
    throw new GrpcError('NOT_FOUND', `no subchannel ${id}`)
  }

  readonly #idOf = (stack: object): number => {
    let id = this.#subchannelIds.get(stack)
    if (id === undefined) {
      id = this.#nextId()
      this.#subchannelIds.set(stack, id)
    }
    return id
  }

  #nextId(): number {
    this.#lastId += 2
    return this.#lastId
  }

  #page<Entry extends { readonly id: number }>(
    all: readonly Entry[],
    from: bigint,
    most: bigint,
  ): { page: Entry[]; end: boolean } {
    const wanted = all.filter(({ id }) => BigInt(id) >= from).sort((a, b) => a.id - b.id)
    const limit = most > 0n && most < this.#maxResults ? Number(most) : this.#maxResults
    return { page: wanted.slice(0, limit), end: wanted.length <= limit }
  }
}

function find<Entry extends { readonly id: number }>(
  all: readonly Entry[],
  id: bigint,
  what: string,
): Entry {
  const found = all.find((entry) => BigInt(entry.id) === id)
  if (found !== undefined) return found
  throw new GrpcError('NOT_FOUND', `no ${what} ${id}`)
}
