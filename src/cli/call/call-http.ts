/** `heddle call GET https://…`: one request of HTTP. JSON is laid out for reading; the rest is as it is. */
import type { HttpClient } from '../../clients/http/http-client.ts'
import { Call } from '../../core/context.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { ExitCode } from '../exit-code.ts'
import type { CallCommand } from './call-arguments.ts'
import { type CallInput, readBody } from './call-input.ts'
import { type CallOutput, tell } from './call-output.ts'

export async function callHttp(
  command: Extract<CallCommand, { kind: 'http' }>,
  client: HttpClient,
  output: CallOutput,
  signal: AbortSignal,
  stdin: CallInput['stdin'],
): Promise<ExitCode> {
  const { httpMethod: method, url, headers, data, timeoutMs, authority } = command
  const body = await readBody(data, stdin)
  const fields = new HttpFields(headers)
  if (body !== undefined && !fields.has('content-type')) {
    fields.set('content-type', 'application/json')
  }
  if (!fields.has('user-agent')) fields.set('user-agent', 'heddle-call')
  const request = new HttpRequest({
    method,
    target: `${url.pathname}${url.search}`,
    scheme: client.scheme,
    authority: authority ?? client.authority,
    fields,
    ...(body !== undefined && { body }),
  })
  tell(output, `> ${method} ${request.target}`)
  tellFields(output, '>', fields)
  const context = new Call({ deadline: systemClock.now() + timeoutMs, signal })
  const response = await client.call(request, context)
  tell(output, `< ${response.status} ${response.reason ?? ''} (HTTP/${response.version})`.trimEnd())
  tellFields(output, '<', response.fields)
  await printBody(response, command.maxBytes, output)
  return response.status < 400 ? ExitCode.OK : ExitCode.FAILURE
}

async function printBody(
  response: HttpResponse,
  maxBytes: number,
  { terminal, compact }: CallOutput,
): Promise<void> {
  const type = response.fields.get('content-type') ?? ''
  if (!/^[^;]*[/+]json\s*(;|$)/i.test(type)) {
    // As it comes, so that streams can be watched.
    const decoder = new TextDecoder()
    for await (const chunk of response.body) terminal.out(decoder.decode(chunk, { stream: true }))
    return
  }
  const text = await response.body.text(maxBytes)
  terminal.out(`${laidOut(text, compact)}\n`)
}

function laidOut(text: string, compact: boolean): string {
  try {
    return JSON.stringify(JSON.parse(text), null, compact ? 0 : 2)
  } catch {
    return text
  }
}

function tellFields(output: CallOutput, mark: string, fields: HttpFields): void {
  for (const [name, shown] of Object.entries(fields.toJSON())) {
    for (const value of [shown].flat()) tell(output, `${mark} ${name}: ${value}`)
  }
}
