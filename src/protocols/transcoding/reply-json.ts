/** Messages of a call as JSON, and its status as `google.rpc.Status`. */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Message,
  type Registry,
  toJson,
} from '@bufbuild/protobuf'
import { reflect } from '@bufbuild/protobuf/reflect'
import { toError } from '../../core/errors.ts'
import { encodeBase64 } from '../connect/base64.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { httpStatusOfGrpc } from '../grpc/status.ts'
import { HttpFields } from '../http/fields.ts'
import { HttpResponse } from '../http/messages.ts'
import type { HttpBinding } from './http-binding.ts'
import type { TranscodingSettings } from './transcoding-options.ts'

/** @throws GrpcError INTERNAL for what is no such message */
export function decodeReply({ method }: HttpBinding, bytes: Uint8Array): Message {
  try {
    return fromBinary(method.output, bytes)
  } catch (cause) {
    const problem = `the reply cannot be decoded: ${toError(cause).message}`
    throw new GrpcError('INTERNAL', problem, { cause })
  }
}

/** @throws GrpcError INTERNAL for a message that has no JSON: an `Any` of a type that is not known */
export function replyJson(
  { method, responseBody }: HttpBinding,
  message: Message,
  { registry, emitDefaults, protoNames }: TranscodingSettings,
): string {
  const options = { registry, alwaysEmitImplicit: emitDefaults, useProtoFieldName: protoNames }
  try {
    if (responseBody === undefined) return JSON.stringify(toJson(method.output, message, options))
    return JSON.stringify(fieldJson(method.output, message, responseBody, options))
  } catch (cause) {
    const problem = `the reply cannot be written as JSON: ${toError(cause).message}`
    throw new GrpcError('INTERNAL', problem, { cause })
  }
}

function fieldJson(
  desc: DescMessage,
  message: Message,
  field: DescField,
  options: NonNullable<Parameters<typeof toJson>[2]>,
): JsonValue {
  if (field.fieldKind === 'message') {
    const held = reflect(desc, message).get(field)
    return toJson(field.message, held.message, options)
  }
  const name = options.useProtoFieldName === true ? field.name : field.jsonName
  const whole = toJson(desc, message, { ...options, alwaysEmitImplicit: true })
  return (whole as { [name: string]: JsonValue })[name] ?? null
}

/** `google.rpc.Status` as an object. Details of types that are not known keep their bytes. */
export function statusJson(error: GrpcError, registry: Registry): { [name: string]: JsonValue } {
  const { grpcCode: code, grpcMessage: message, details } = error
  return {
    code,
    message,
    ...(details.length > 0 && { details: details.map((detail) => detailJson(detail, registry)) }),
  }
}

function detailJson(
  { type, value }: GrpcError['details'][number],
  registry: Registry,
): { [name: string]: JsonValue } {
  const desc = registry.getMessage(type)
  const head = { '@type': `type.googleapis.com/${type}` }
  if (desc !== undefined) {
    try {
      const json = toJson(desc, fromBinary(desc, value), { registry })
      const plain = typeof json === 'object' && json !== null && !Array.isArray(json)
      return plain ? { ...head, ...json } : { ...head, value: json }
    } catch {
      // A broken detail is an extra: the error itself is told anyway.
    }
  }
  return { ...head, value: encodeBase64(value) }
}

/** The answer to a call that failed, before anything of it was answered. */
export function statusResponse(
  error: GrpcError,
  registry: Registry,
  status: number = httpStatusOfGrpc(error.grpcCode),
): HttpResponse {
  const fields = HttpFields.fromTrusted(['content-type', 'application/json'])
  return new HttpResponse({ status, fields, body: JSON.stringify(statusJson(error, registry)) })
}
