/** Where the schema of a call comes from: files that are given, or the server itself. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DescMethod, DescService, Registry } from '@bufbuild/protobuf'
import type { GrpcClientOptions, GrpcTarget } from '../../clients/grpc/client-settings.ts'
import type { GrpcCallOptions } from '../../clients/grpc/client-types.ts'
import { ReflectionClient } from '../../clients/grpc/reflection-client.ts'
import { UsageError } from '../../core/errors.ts'
import { nearest } from '../../gateway/config/suggestion.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { loadSchema, type SchemaSource } from '../../protocols/protobuf/load-schema.ts'
import type { CallOptions } from './call-arguments.ts'

export interface CallSchema {
  services(): Promise<readonly string[]>
  /** @throws UsageError: the schema has no such symbol */
  registryOf(symbol: string): Promise<Registry>
}

export async function callSchema(
  command: CallOptions,
  target: GrpcTarget,
  client: GrpcClientOptions,
  call: GrpcCallOptions,
): Promise<CallSchema> {
  const { protos, descriptorSets } = command
  if (protos.length + descriptorSets.length > 0) return fileSchema(command)
  const reflection = new ReflectionClient(target, { client, call })
  return {
    services: () => explained(reflection.listServices()),
    registryOf: (symbol) => explained(reflection.registryOf(symbol)),
  }
}

/** The method that was named; what is close to it where there is none. */
export function findMethod(
  registry: Registry,
  serviceName: string,
  methodName: string,
): { service: DescService; method: DescMethod } {
  const service = registry.getService(serviceName)
  if (service === undefined) throw new UsageError('ERR_ARGUMENT', `${serviceName} is no service`)
  const method = service.methods.find(({ name }) => name === methodName)
  if (method !== undefined) return { service, method }
  const names = service.methods.map(({ name }) => name)
  const hint = nearest(methodName, names)
  const meant = hint === undefined ? `; it has ${names.join(', ')}` : `; did you mean '${hint}'?`
  throw new UsageError('ERR_ARGUMENT', `${serviceName} has no method '${methodName}'${meant}`)
}

async function fileSchema(command: CallOptions): Promise<CallSchema> {
  const { protos, descriptorSets, importPaths } = command
  const sources: SchemaSource[] = protos.map((proto) => ({ proto }))
  for (const file of descriptorSets) {
    sources.push({ descriptorSet: new Uint8Array(await readFile(file)) })
  }
  const paths = importPaths.length > 0 ? importPaths : ['.']
  const schema = await loadSchema(sources, { read: (name) => readFirst(name, paths) })
  const names = schema.services.map(({ typeName }) => typeName)
  return {
    services: async () => names,
    async registryOf(symbol) {
      const owner = symbol.slice(0, symbol.lastIndexOf('.'))
      const known = schema.registry.get(symbol) ?? schema.registry.getService(owner)
      if (known !== undefined) return schema.registry
      const hint = nearest(symbol, names)
      const meant = hint === undefined ? '' : `; did you mean '${hint}'?`
      throw new UsageError('ERR_ARGUMENT', `the schema has no '${symbol}'${meant}`)
    },
  }
}

async function readFirst(name: string, paths: readonly string[]): Promise<Uint8Array | undefined> {
  for (const path of paths) {
    try {
      return new Uint8Array(await readFile(join(path, name)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return undefined
}

async function explained<Value>(asked: Promise<Value>): Promise<Value> {
  try {
    return await asked
  } catch (error) {
    if (!(error instanceof GrpcError) || error.status !== 'UNIMPLEMENTED') throw error
    const message = 'the server has no reflection: bring the schema by --proto or --descriptor-set'
    throw new UsageError('ERR_ARGUMENT', message, { cause: error })
  }
}
