/**
 * `heddle call`: one call from the command line, of any gRPC method by its schema, or of HTTP.
 */
import { readFile } from 'node:fs/promises'
import type { DescMethod, DescService, Registry } from '@bufbuild/protobuf'
import { createRegistry, type Message } from '@bufbuild/protobuf'
import type { GrpcClientOptions, GrpcTarget } from '../../clients/grpc/client-settings.ts'
import type { GrpcCallOptions } from '../../clients/grpc/client-types.ts'
import { grpcChannel } from '../../clients/grpc/grpc-channel.ts'
import { grpcClient } from '../../clients/grpc/grpc-client.ts'
import type { OriginTlsOptions } from '../../clients/http/default-transport.ts'
import { type HttpClient, httpClient } from '../../clients/http/http-client.ts'
import { ip } from '../../core/address.ts'
import { HeddleError, toError, UsageError } from '../../core/errors.ts'
import { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { file_google_rpc_error_details } from '../../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import type { CliProcess } from '../cli-process.ts'
import { ExitCode } from '../exit-code.ts'
import type { Terminal } from '../terminal.ts'
import {
  CALL_HELP,
  type CallCommand,
  type CallOptions,
  readCallArguments,
} from './call-arguments.ts'
import { callHttp } from './call-http.ts'
import { type CallInput, readMessage, readMessages } from './call-input.ts'
import {
  type CallOutput,
  printable,
  printError,
  printMessage,
  tell,
  tellMetadata,
} from './call-output.ts'
import { type CallSchema, callSchema, findMethod } from './call-schema.ts'
import { describeService, describeSymbol } from './describe-symbol.ts'

export async function callCommand(
  args: readonly string[],
  host: CliProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const interrupted = new AbortController()
  const onInterrupt = (): void => interrupted.abort(new Error('interrupted'))
  host.on('SIGINT', onInterrupt)
  try {
    const command = readCallArguments(args)
    if (command === undefined) {
      terminal.out(CALL_HELP)
      return ExitCode.OK
    }
    return await perform(command, host, terminal, interrupted.signal)
  } catch (error) {
    if (interrupted.signal.aborted) return ExitCode.INTERRUPTED
    return failed(error, terminal)
  } finally {
    host.off('SIGINT', onInterrupt)
  }
}

async function perform(
  command: CallCommand,
  host: CliProcess,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { compact, emitDefaults, verbose, timeoutMs } = command
  const output: CallOutput = { terminal, compact, emitDefaults, verbose }
  await using channel = await connectTo(command)
  if (command.kind === 'http') {
    return await callHttp(command, channel, output, signal, inputOf(host))
  }
  const target = targetOf(channel, command)
  const client: GrpcClientOptions = {
    protocol: command.protocol,
    maxReceiveMessageBytes: command.maxBytes,
    timeoutMs,
  }
  const options: GrpcCallOptions = { timeoutMs, signal, metadata: metadataOf(command) }
  const schema = await callSchema(command, target, client, options)
  if (command.kind === 'list') return await list(schema, command.symbol, output)
  if (command.kind === 'describe') return await describe(schema, command.symbol, output)
  const registry = await schema.registryOf(command.service)
  const found = findMethod(registry, command.service, command.method)
  return await callMethod({ ...found, registry, target, client, options, command, output, host })
}

interface MethodCall {
  readonly service: DescService
  readonly method: DescMethod
  readonly registry: Registry
  readonly target: GrpcTarget
  readonly client: GrpcClientOptions
  readonly options: GrpcCallOptions
  readonly command: CallOptions
  readonly output: CallOutput
  readonly host: CliProcess
}

async function callMethod(call: MethodCall): Promise<ExitCode> {
  const { service, method, registry, output, command, host } = call
  const input = { data: command.data, stdin: inputOf(host), schema: method.input, registry }
  const streamsIn =
    method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  // What is wrong with the first message is said before anything is sent.
  const given = streamsIn ? readMessages(input) : await readMessage(input)
  const options: GrpcCallOptions = {
    ...call.options,
    onHeader: (headers) => tellMetadata(output, '<', headers),
    onTrailer: (trailers) => tellMetadata(output, '<', trailers),
  }
  tell(output, `> /${service.typeName}/${method.name} (${command.protocol})`)
  tellMetadata(output, '>', metadataOf(command))
  await using client = grpcClient(service, call.target, call.client)
  const started = performance.now()
  const done = (status: string): void =>
    tell(output, `= ${status} after ${Math.round(performance.now() - started)} ms`)
  try {
    const invoke = client[method.localName] as unknown as (
      input: unknown,
      options: GrpcCallOptions,
    ) => Promise<Message> | AsyncIterable<Message>
    const replies = invoke(given, options)
    if (Symbol.asyncIterator in replies) {
      for await (const reply of replies) printMessage(output, method.output, reply, registry, true)
    } else printMessage(output, method.output, await replies, registry, false)
    done('OK')
    return ExitCode.OK
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error
    // Input that is no message, found out while it was being sent.
    if (error.cause instanceof UsageError) throw error.cause
    done(error.status as string)
    printError(output.terminal, error, createRegistry(registry, file_google_rpc_error_details))
    return ExitCode.FAILURE
  }
}

async function list(
  schema: CallSchema,
  symbol: string | undefined,
  { terminal }: CallOutput,
): Promise<ExitCode> {
  if (symbol === undefined) {
    for (const name of await schema.services()) terminal.out(`${printable(name)}\n`)
    return ExitCode.OK
  }
  const service = (await schema.registryOf(symbol)).getService(symbol)
  if (service === undefined) throw new UsageError('ERR_ARGUMENT', `${symbol} is no service`)
  for (const { name } of service.methods) terminal.out(`${symbol}/${name}\n`)
  return ExitCode.OK
}

async function describe(
  schema: CallSchema,
  symbol: string | undefined,
  { terminal }: CallOutput,
): Promise<ExitCode> {
  if (symbol !== undefined) {
    const name = symbol.replace('/', '.')
    const text = describeSymbol(await schema.registryOf(name), name)
    if (text === undefined) throw new UsageError('ERR_ARGUMENT', `there is no '${symbol}'`)
    terminal.out(text)
    return ExitCode.OK
  }
  for (const name of await schema.services()) {
    const service = (await schema.registryOf(name)).getService(name)
    if (service !== undefined) terminal.out(describeService(service))
  }
  return ExitCode.OK
}

/** A channel to the server; TLS is verified unless `--insecure` says otherwise. */
async function connectTo(command: CallCommand): Promise<HttpClient> {
  const { url, ca, certificate, key, verify, serverName } = command
  const credentials =
    certificate === undefined || key === undefined
      ? undefined
      : { certificate: await readFile(certificate), key: await readFile(key) }
  const tls: OriginTlsOptions = {
    verify,
    ...(ca !== undefined && { ca: await readFile(ca) }),
    ...(credentials !== undefined && { credentials }),
  }
  const speaksHttp = command.kind === 'http' || command.protocol !== 'grpc'
  const secure = url.protocol === 'https:'
  // Servers of gRPC know HTTP/2 only, and without TLS nothing is agreed on.
  const version = command.version === 'auto' && !speaksHttp && !secure ? '2' : command.version
  const port = Number(url.port || (secure ? 443 : 80))
  const options = {
    ...(secure && { tls }),
    // The name of an endpoint is what its certificate has to say.
    ...(serverName !== undefined && {
      endpoints: [
        { address: ip(url.hostname.replace(/^\[|\]$/g, ''), port), hostname: serverName },
      ],
    }),
    retry: false as const,
    version,
  }
  const origin = url.protocol === 'http+unix:' ? url : url.origin
  return speaksHttp ? httpClient(origin, options) : grpcChannel(origin, options)
}

function targetOf(channel: HttpClient, { authority }: CallOptions): GrpcTarget {
  const { call, scheme } = channel
  return { call, scheme, authority: authority ?? channel.authority }
}

/** Values of `-bin` names are given in base64, as they travel. */
export function metadataOf({ headers }: CallOptions): GrpcMetadata {
  const metadata = new GrpcMetadata()
  for (const [name, value] of headers) {
    metadata.append(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value)
  }
  return metadata
}

/** What is piped in; undefined where nothing can be. */
function inputOf(host: CliProcess): CallInput['stdin'] {
  const { stdin } = host as { readonly stdin?: unknown }
  const piped = typeof stdin === 'object' && stdin !== null && Symbol.asyncIterator in stdin
  return piped ? (stdin as CallInput['stdin']) : undefined
}

function failed(thrown: unknown, terminal: Terminal): ExitCode {
  const error = toError(thrown)
  const say = (text: string): void =>
    terminal.err(`${terminal.errStyle.red('heddle:')} ${printable(text)}\n`)
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof GrpcError) {
    printError(terminal, error, createRegistry(file_google_rpc_error_details))
    return ExitCode.FAILURE
  }
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR') {
    say(error.message)
    return code === 'EACCES' ? ExitCode.NO_PERMISSION : ExitCode.NO_INPUT
  }
  if (!(error instanceof HeddleError)) {
    say(error.stack ?? error.message)
    return ExitCode.SOFTWARE
  }
  say(`${error.message}${hintOf(error)}`)
  if (error instanceof UsageError) return ExitCode.USAGE
  const unreachable =
    error.blame === 'network' || error.blame === 'load' || error.blame === 'unknown'
  return unreachable ? ExitCode.UNAVAILABLE : ExitCode.FAILURE
}

function hintOf(error: HeddleError): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (!(cause instanceof HeddleError) || cause.code !== 'ERR_TLS') continue
    return '\n  (a server without TLS wants --plaintext or http://; one with a certificate of its own, --cacert)'
  }
  return ''
}
