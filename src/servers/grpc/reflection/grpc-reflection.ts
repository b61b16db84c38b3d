/**
 * `grpc.reflection.v1` and `v1alpha`: gives the schema of a server to who asks for it, so that grpcurl,
 * Postman and `heddle call` need no `.proto` file.
 *
 *     const services = [users, orders]
 *     const server = httpServer(rpcServer([...services, ...grpcReflection(services)]))
 *
 * A schema tells an attacker what there is to try: serve it where your clients may know it.
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
import type { DescFile, MessageInitShape } from '@bufbuild/protobuf'
import {
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
  ServerReflection as V1,
} from '../../../protocols/grpc/proto/grpc/reflection/v1/reflection_pb.ts'
import { ServerReflection as V1Alpha } from '../../../protocols/grpc/proto/grpc/reflection/v1alpha/reflection_pb.ts'
import type { GrpcServiceOptions } from '../grpc-options.ts'
import { type GrpcService, grpcService } from '../grpc-service.ts'
import type { ServiceHandlers } from '../service-handlers.ts'
import { DescriptorIndex } from './descriptor-index.ts'

export interface GrpcReflectionOptions {
  /**
   * Further files: those with extensions or messages that no service names.
   *
   * @default none
   */
  files?: readonly DescFile[]
  /** Limits and interceptors of the reflection services, authorization for instance. */
  service?: GrpcServiceOptions
}

/** Two services: both versions. They list themselves too. */
export function grpcReflection(
  services: readonly GrpcService[],
  options: GrpcReflectionOptions = {},
): GrpcService[] {
  const { files = [], service } = options
  const described = [...services.map(({ implementation }) => implementation.desc), V1, V1Alpha]
  const answers = new ReflectionAnswers(
    [...described.map(({ file }) => file), ...files],
    described.map(({ typeName }) => typeName).sort(),
  )
  const handlers: ServiceHandlers<typeof V1> = {
    async *serverReflectionInfo(requests) {
      const sent = new Set<string>()
      for await (const request of requests) yield answers.answer(request, sent)
    },
  }
  return [
    grpcService(V1, handlers, service),
    // The messages differ in the name of their package only.
    grpcService(V1Alpha, handlers as unknown as ServiceHandlers<typeof V1Alpha>, service),
  ]
}

type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>

class ReflectionAnswers {
  readonly #files: readonly DescFile[]
  readonly #names: readonly string[]
  #index: DescriptorIndex | undefined

  constructor(files: readonly DescFile[], names: readonly string[]) {
    this.#files = files
    this.#names = names
  }

  /** @param sent names of the files that the stream has brought already */
  answer(request: ServerReflectionRequest, sent: Set<string>): Answer {
    return {
      validHost: request.host,
      originalRequest: request,
      messageResponse: this.#find(request.messageRequest, sent),
    }
  }

  #find(
    asked: ServerReflectionRequest['messageRequest'],
    sent: Set<string>,
  ): NonNullable<Answer['messageResponse']> {
    const index = this.#known()
    switch (asked.case) {
      case 'listServices':
        return {
          case: 'listServicesResponse',
          value: { service: this.#names.map((name) => ({ name })) },
        }
      case 'fileByFilename':
        return this.#file(index.fileByName(asked.value), `file ${show(asked.value)}`, sent)
      case 'fileContainingSymbol':
        return this.#file(index.fileBySymbol(asked.value), `symbol ${show(asked.value)}`, sent)
      case 'fileContainingExtension': {
        const { containingType, extensionNumber } = asked.value
        const file = index.fileByExtension(containingType, extensionNumber)
        return this.#file(file, `extension ${extensionNumber} of ${show(containingType)}`, sent)
      }
      case 'allExtensionNumbersOfType': {
        const extensionNumber = index.extensionNumbers(asked.value)
        if (extensionNumber === undefined) return notFound(`message ${show(asked.value)}`)
        const value = { baseTypeName: asked.value, extensionNumber }
        return { case: 'allExtensionNumbersResponse', value }
      }
      default:
        return failed(INVALID_ARGUMENT, 'the request asks for nothing')
    }
  }

  #file(
    file: DescFile | undefined,
    what: string,
    sent: Set<string>,
  ): NonNullable<Answer['messageResponse']> {
    if (file === undefined) return notFound(what)
    const fileDescriptorProto = this.#known().encoded(file, sent)
    return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
  }

  #known(): DescriptorIndex {
    if (this.#index === undefined) {
      this.#index = new DescriptorIndex()
      for (const file of this.#files) this.#index.add(file)
    }
    return this.#index
  }
}

function notFound(what: string): NonNullable<Answer['messageResponse']> {
  return failed(NOT_FOUND, `no ${what} is known here`)
}

function failed(errorCode: number, errorMessage: string): NonNullable<Answer['messageResponse']> {
  return { case: 'errorResponse', value: { errorCode, errorMessage } }
}

function show(name: string): string {
  return JSON.stringify(name.slice(0, MAX_SHOWN))
}

const INVALID_ARGUMENT = 3
const NOT_FOUND = 5
const MAX_SHOWN = 128
