/**
 * A schema: services and messages that were found by name at run time, wherever they came from.
 */
import {
  createRegistry,
  type DescFile,
  type DescMethod,
  type DescService,
  type Registry,
} from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'

export interface Schema {
  /** Every type, for JSON of `google.protobuf.Any` and for extensions. */
  readonly registry: Registry
  /** Those of what was asked for, not of its imports; in the order of the files. */
  readonly services: readonly DescService[]
  /** Every file, imports too. */
  readonly files: readonly DescFile[]
  /** @param path as gRPC has it: `/acme.v1.Users/Get` */
  method(path: string): DescMethod | undefined
}

/** A schema of descriptors that are there. The last of two types with one name wins. */
export function schemaOf(files: readonly DescFile[], services: readonly DescService[]): Schema {
  const all = new Map<string, DescFile>()
  const collect = (file: DescFile): void => {
    if (all.has(file.proto.name)) return
    all.set(file.proto.name, file)
    for (const imported of file.dependencies) collect(imported)
  }
  for (const file of files) collect(file)
  for (const service of services) collect(service.file)
  const unique = [...new Map(services.map((service) => [service.typeName, service])).values()]
  const methods = new Map<string, DescMethod>()
  for (const service of unique) {
    for (const method of service.methods) {
      methods.set(`/${service.typeName}/${method.name}`, method)
    }
  }
  return Object.freeze({
    registry: createRegistry(...all.values()),
    services: unique,
    files: [...all.values()],
    method: (path: string) => methods.get(path),
  })
}

/**
 * The same with some of its services.
 *
 * @param names fully qualified
 * @throws UsageError ERR_SCHEMA for a name that it does not have
 */
export function pickServices(schema: Schema, names: readonly string[]): Schema {
  const services = names.map((name) => {
    const found = schema.services.find((service) => service.typeName === name)
    if (found !== undefined) return found
    const known = schema.services.map((service) => service.typeName).join(', ') || 'none'
    throw new UsageError('ERR_SCHEMA', `no service ${JSON.stringify(name)}; there are: ${known}`)
  })
  return schemaOf(schema.files, services)
}
