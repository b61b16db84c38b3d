/**
 * The schema of a server, asked of the server itself (`grpc.reflection.v1`, and `v1alpha` of one that
 * has no `v1`).
 *
 *     const reflection = new ReflectionClient(channel)
 *     const registry = await reflection.registryOf('acme.v1.Users')
 *     const users = registry.getService('acme.v1.Users')
 *
 * Every question is a call of its own with one request, so it works over HTTP/1.1 and gRPC-Web too.
 */
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { checkInteger, ProtocolError } from '../../core/errors.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflection as V1,
} from '../../protocols/grpc/proto/grpc/reflection/v1/reflection_pb.ts'
import { ServerReflection as V1Alpha } from '../../protocols/grpc/proto/grpc/reflection/v1alpha/reflection_pb.ts'
import type { GrpcClientOptions, GrpcTarget } from './client-settings.ts'
import type { GrpcCallOptions, GrpcClient } from './client-types.ts'
import { grpcClient } from './grpc-client.ts'

export interface ReflectionClientOptions {
  /** Of the client that asks. */
  client?: GrpcClientOptions
  /** Of each question: metadata, a timeout. */
  call?: GrpcCallOptions
  /**
   * Most files that a schema may have.
   *
   * @default 4_096: schemas of large companies have hundreds
   */
  maxFiles?: number
}

export const reflectionClientDefaults: Readonly<{ maxFiles: number }> = Object.freeze({
  maxFiles: 4_096,
})

type Question = ServerReflectionRequest['messageRequest']
type Answer = ServerReflectionResponse['messageResponse']

export class ReflectionClient {
  readonly #target: GrpcTarget
  readonly #options: ReflectionClientOptions
  readonly #maxFiles: number
  /** The version that the server has, once it is known. */
  #client: GrpcClient<typeof V1> | undefined

  constructor(target: GrpcTarget, options: ReflectionClientOptions = {}) {
    this.#target = target
    this.#options = options
    const { maxFiles = reflectionClientDefaults.maxFiles } = options
    this.#maxFiles = checkInteger('maxFiles', maxFiles, 1, 1_000_000)
  }

  /** In the server's order. @throws GrpcError UNIMPLEMENTED: the server has no reflection */
  async listServices(): Promise<string[]> {
    const answer = await this.#ask({ case: 'listServices', value: '' })
    if (answer.case !== 'listServicesResponse') throw unexpected(answer)
    return answer.value.service.map(({ name }) => name)
  }

  /** The file that declares a symbol, with everything that it imports. */
  async registryOf(symbol: string): Promise<FileRegistry> {
    const files = new Map<string, FileDescriptorProto>()
    const [root] = this.#add(
      files,
      await this.#ask({ case: 'fileContainingSymbol', value: symbol }),
    )
    if (root === undefined) throw new ProtocolError('ERR_MALFORMED', 'an answer without a file')
    for (let name = missing(files); name !== undefined; name = missing(files)) {
      const before = files.size
      this.#add(files, await this.#ask({ case: 'fileByFilename', value: name }))
      if (files.has(name)) continue
      throw new ProtocolError(
        'ERR_MALFORMED',
        `asked for ${name}, got ${files.size - before} others`,
      )
    }
    try {
      return createFileRegistry(root, (name) => files.get(name))
    } catch (cause) {
      const why = (cause as Error).message
      throw new ProtocolError('ERR_MALFORMED', `the schema cannot be used: ${why}`, { cause })
    }
  }

  /** Files of an answer, those that are new to `files` added to it. */
  #add(files: Map<string, FileDescriptorProto>, answer: Answer): FileDescriptorProto[] {
    if (answer.case !== 'fileDescriptorResponse') throw unexpected(answer)
    const found: FileDescriptorProto[] = []
    for (const bytes of answer.value.fileDescriptorProto) {
      let file: FileDescriptorProto
      try {
        file = fromBinary(FileDescriptorProtoSchema, bytes)
      } catch (cause) {
        throw new ProtocolError('ERR_MALFORMED', 'an answer holds no file descriptor', { cause })
      }
      found.push(file)
      if (!files.has(file.name)) files.set(file.name, file)
      if (files.size > this.#maxFiles) {
        throw new ProtocolError('ERR_LIMIT', `the schema has more than maxFiles ${this.#maxFiles}`)
      }
    }
    return found
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#client !== undefined) return this.#askOf(this.#client, question)
    const v1 = grpcClient(V1, this.#target, this.#options.client)
    try {
      const answer = await this.#askOf(v1, question)
      this.#client = v1
      return answer
    } catch (error) {
      if (!(error instanceof GrpcError) || error.status !== 'UNIMPLEMENTED') throw error
      // The messages of both versions are the same but for the name of their package.
      const older = grpcClient(V1Alpha, this.#target, this.#options.client)
      const client = older as unknown as GrpcClient<typeof V1>
      const answer = await this.#askOf(client, question)
      this.#client = client
      return answer
    }
  }

  /** @throws GrpcError with the code and the words of the server where it does not know */
  async #askOf(client: GrpcClient<typeof V1>, messageRequest: Question): Promise<Answer> {
    const replies = client.serverReflectionInfo([{ messageRequest }], this.#options.call)
    for await (const { messageResponse } of replies) {
      if (messageResponse.case !== 'errorResponse') return messageResponse
      const { errorCode, errorMessage } = messageResponse.value
      const code = errorCode > 0 && errorCode <= 16 ? errorCode : UNKNOWN
      throw new GrpcError(code as GrpcError['grpcCode'], errorMessage)
    }
    throw new ProtocolError('ERR_MALFORMED', 'reflection ended without an answer')
  }
}

/** A file that one of `files` imports and that is not there. */
function missing(files: ReadonlyMap<string, FileDescriptorProto>): string | undefined {
  for (const { dependency } of files.values()) {
    for (const name of dependency) if (!files.has(name)) return name
  }
  return undefined
}

function unexpected(answer: Answer): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `reflection answered with ${answer.case ?? 'nothing'}`)
}

const UNKNOWN = 2
