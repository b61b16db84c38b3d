/**
 * Messages for a call: JSON from the command line, a file or standard input; of a stream one document
 * a line, given as they come.
 */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import {
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  type Registry,
} from '@bufbuild/protobuf'
import { toError, UsageError } from '../../core/errors.ts'
import { JsonLinesDecoder } from '../../protocols/framing/json-lines.ts'

export interface CallInput {
  readonly data: readonly string[]
  readonly stdin: AsyncIterable<Uint8Array | string> | undefined
  readonly schema: DescMessage
  readonly registry: Registry
}

/** The one message of a call; without data an empty one. */
export async function readMessage(input: CallInput): Promise<Message> {
  const { data } = input
  if (data.length > 1) throw wrong(`the method takes one message, ${data.length} were given`)
  const [text = '{}'] = data
  return toMessage(parse(await contentOf(text, input)), input)
}

/** The messages of a stream: each of the data is read as lines, one after the other. */
export async function* readMessages(input: CallInput): AsyncGenerator<Message> {
  for (const text of input.data) {
    if (!text.startsWith('@')) {
      // What is typed may be one document over several lines, or one a line.
      for (const value of documents(text)) yield toMessage(value, input)
      continue
    }
    const decoder = new JsonLinesDecoder({ maxLineBytes: MAX_LINE_BYTES })
    for await (const chunk of streamOf(text, input)) {
      yield* decoded(decoder, chunk, input)
    }
    // A last line need not be ended.
    yield* decoded(decoder, '\n', input)
  }
}

/** The bytes of what was given: text as it is, a file, or standard input. */
export async function readBody(
  data: readonly string[],
  stdin: CallInput['stdin'],
): Promise<Uint8Array | undefined> {
  if (data.length === 0) return undefined
  if (data.length > 1) throw wrong(`a request has one body, ${data.length} were given`)
  const [text = ''] = data
  if (text === '@-') return collect(stdin)
  return text.startsWith('@') ? new Uint8Array(await readFile(text.slice(1))) : Buffer.from(text)
}

async function contentOf(text: string, { stdin }: CallInput): Promise<string> {
  if (text === '@-') return new TextDecoder().decode(await collect(stdin))
  return text.startsWith('@') ? readFile(text.slice(1), 'utf8') : text
}

function streamOf(text: string, { stdin }: CallInput): AsyncIterable<Uint8Array | string> {
  if (text === '@-') return stdin ?? EMPTY
  return createReadStream(text.slice(1))
}

async function collect(stdin: CallInput['stdin']): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin ?? EMPTY) chunks.push(Buffer.from(chunk as string))
  return Buffer.concat(chunks)
}

function* decoded(
  decoder: JsonLinesDecoder,
  chunk: Uint8Array | string,
  input: CallInput,
): Generator<Message> {
  decoder.push(Buffer.from(chunk as string))
  for (;;) {
    let value: unknown
    try {
      value = decoder.next()
    } catch (cause) {
      throw wrong(`a line of the input is not JSON: ${reason(cause)}`, cause)
    }
    if (value === undefined) return
    yield toMessage(value as JsonValue, input)
  }
}

function documents(text: string): JsonValue[] {
  try {
    return [JSON.parse(text) as JsonValue]
  } catch {
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map(parse)
  }
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw wrong(`the message is not JSON: ${reason(cause)}`, cause)
  }
}

function toMessage(value: JsonValue, { schema, registry }: CallInput): Message {
  try {
    return fromJson(schema, value, { registry })
  } catch (cause) {
    throw wrong(`the message is no ${schema.typeName}: ${reason(cause)}`, cause)
  }
}

function reason(cause: unknown): string {
  const { cause: inner, message } = toError(cause)
  return inner instanceof Error ? inner.message : message
}

function wrong(message: string, cause?: unknown): UsageError {
  return new UsageError('ERR_ARGUMENT', message, { cause })
}

const EMPTY: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
}
const MAX_LINE_BYTES = 64 * 1024 * 1024
