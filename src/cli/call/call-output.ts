/** What `heddle call` prints: replies on standard output, everything about them on standard error. */
import { type DescMessage, type Message, type Registry, toJson } from '@bufbuild/protobuf'
import type { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import type { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import type { Terminal } from '../terminal.ts'

export interface CallOutput {
  readonly terminal: Terminal
  readonly compact: boolean
  readonly emitDefaults: boolean
  readonly verbose: boolean
}

export function printMessage(
  output: CallOutput,
  schema: DescMessage,
  message: Message,
  registry: Registry,
  streamed: boolean,
): void {
  const { terminal, compact, emitDefaults: alwaysEmitImplicit } = output
  const json = toJson(schema, message, { registry, alwaysEmitImplicit })
  terminal.out(`${JSON.stringify(json, null, compact || streamed ? 0 : 2)}\n`)
}

/** A line of what happens, with `--verbose` only. */
export function tell({ terminal, verbose }: CallOutput, line: string): void {
  if (verbose) terminal.err(`${terminal.errStyle.dim(line)}\n`)
}

/** Values that carry credentials are not shown. */
export function tellMetadata(output: CallOutput, mark: string, metadata: GrpcMetadata): void {
  if (!output.verbose) return
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) tell(output, `${mark} ${name}: ${value}`)
  }
}

/** The status of a failed call, and its details as far as their types are known. */
export function printError(terminal: Terminal, error: GrpcError, registry: Registry): void {
  const { red } = terminal.errStyle
  terminal.err(`${red(error.status as string)}${separated(error.grpcMessage)}\n`)
  for (const { type, value } of error.details) {
    const schema = registry.getMessage(type)
    const [message] = schema === undefined ? [] : error.find(schema)
    const shown =
      schema === undefined || message === undefined
        ? `${value.length} bytes, a type that the schema does not have`
        : JSON.stringify(toJson(schema, message, { registry }))
    terminal.err(`  ${type} ${shown}\n`)
  }
}

function separated(message: string): string {
  return message === '' ? '' : `: ${printable(message)}`
}

/** Text of a peer: it must not drive the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}
