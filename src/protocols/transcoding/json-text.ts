/**
 * JSON that somebody sent, read with care: UTF-8 only, a bounded depth, and errors that say what is
 * wrong without repeating it.
 */
import type { JsonValue } from '@bufbuild/protobuf'
import { GrpcError } from '../grpc/grpc-error.ts'

/** @throws GrpcError INVALID_ARGUMENT for what is no JSON, or is nested deeper than `maxDepth` */
export function parseJson(bytes: Uint8Array, maxDepth: number): JsonValue {
  let text: string
  try {
    text = UTF8.decode(bytes)
  } catch (cause) {
    throw new GrpcError('INVALID_ARGUMENT', 'the JSON is not UTF-8', { cause })
  }
  checkDepth(text, maxDepth)
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    const at = /position (\d+)/.exec((cause as Error).message)?.[1]
    const where = at === undefined ? '' : ` at ${at}`
    throw new GrpcError('INVALID_ARGUMENT', `the body is not JSON${where}`, { cause })
  }
}

/** Before it is parsed: what is nested a million times would end the stack of whoever walks it. */
function checkDepth(text: string, maxDepth: number): void {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (quoted) {
      if (unit === BACKSLASH) at++
      else if (unit === QUOTE) quoted = false
    } else if (unit === QUOTE) quoted = true
    else if (unit === BRACE || unit === BRACKET) {
      depth++
      if (depth > maxDepth) {
        const message = `the JSON is nested over ${maxDepth} levels deep`
        throw new GrpcError('INVALID_ARGUMENT', message)
      }
    } else if (unit === BRACE_END || unit === BRACKET_END) depth--
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACE = 0x7b
const BRACE_END = 0x7d
const BRACKET = 0x5b
const BRACKET_END = 0x5d
const UTF8 = new TextDecoder('utf-8', { fatal: true })
