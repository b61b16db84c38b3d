/**
 * `heddle openapi`: the OpenAPI 3.1 document of a schema with HTTP annotations.
 *
 *     heddle openapi library.proto --title Library > openapi.json
 */
import { parseArgs } from 'node:util'
import { toError, UsageError } from '../core/errors.ts'
import { openApi } from '../protocols/transcoding/openapi.ts'
import { schemaFromFiles } from '../servers/transcoding/schema-files.ts'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

export async function openapi(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const failed = (error: unknown, code: ExitCode): ExitCode => {
    terminal.err(`${terminal.errStyle.red('heddle:')} ${toError(error).message}\n`)
    return code
  }
  let command: ReturnType<typeof readArguments>
  try {
    command = readArguments(args)
  } catch (error) {
    return failed(error, ExitCode.USAGE)
  }
  const { files, values } = command
  if (values.help === true) {
    terminal.out(OPENAPI_HELP)
    return ExitCode.OK
  }
  try {
    const { service, 'import-path': importPaths = [], server: servers = [] } = values
    const schema = await schemaFromFiles(files, { importPaths, services: service })
    const document = openApi(schema, {
      servers,
      unannotated: values.unannotated === true,
      protoNames: values['proto-names'] === true,
      ...(values.title !== undefined && { title: values.title }),
      ...(values['api-version'] !== undefined && { version: values['api-version'] }),
    })
    terminal.out(`${JSON.stringify(document, undefined, 2)}\n`)
    return ExitCode.OK
  } catch (error) {
    if (error instanceof UsageError) return failed(error, ExitCode.CONFIG)
    const code = (error as { code?: string }).code
    return failed(error, code === 'EACCES' ? ExitCode.NO_PERMISSION : ExitCode.NO_INPUT)
  }
}

// The words decide the type of what is read from them.
function readArguments(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      'import-path': { type: 'string', short: 'I', multiple: true },
      service: { type: 'string', multiple: true },
      title: { type: 'string' },
      'api-version': { type: 'string' },
      server: { type: 'string', multiple: true },
      unannotated: { type: 'boolean' },
      'proto-names': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (positionals.length === 0 && values.help !== true) {
    throw new Error('heddle openapi needs a .proto file or a descriptor set')
  }
  return { files: positionals, values }
}

export const OPENAPI_HELP = `heddle openapi <schema …>   prints the OpenAPI 3.1 document of a gRPC schema

  .proto files, or sets of descriptors (buf build -o schema.binpb), with google.api.http annotations

    -I, --import-path <dir>    where imports are looked for; may be repeated
    --service <name>           only this one, fully qualified; may be repeated
    --title <text>             of the document; default the names of the services
    --api-version <text>       of the API
    --server <url>             where it is served; may be repeated
    --unannotated              methods without annotation too, at POST /package.Service/Method
    --proto-names              names as in the .proto file

Exit codes: 0 printed, 64 wrong arguments, 66 no such file, 77 no permission, 78 wrong schema
`
