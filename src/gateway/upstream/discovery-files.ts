/**
 * The files that discovery reads, looked at by `heddle check`. Others write them, some only where the
 * gateway will run: one that is not there is worth a warning, one that is wrong is a problem.
 */
import { readFile } from 'node:fs/promises'
import { toError } from '../../core/errors.ts'
import { parseEndpointFile } from '../../discovery/endpoint-file.ts'
import { errorCodeOf } from '../config/file-error.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'

export interface DiscoveryFindings {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

export async function checkDiscoveryFiles(
  clusters: readonly ClusterConfig[],
): Promise<DiscoveryFindings> {
  const problems: string[] = []
  const warnings: string[] = []
  for (const { name, discovery } of clusters) {
    if (discovery === undefined) continue
    for (const file of filesOf(discovery)) {
      try {
        const text = await readFile(file, 'utf8')
        if (discovery.type === 'file') findMistakes(text, file, problems)
      } catch (error) {
        warnings.push(`cluster ${name}: ${file} cannot be read now: ${errorCodeOf(error).text}`)
      }
    }
  }
  return { problems, warnings }
}

function findMistakes(text: string, file: string, problems: string[]): void {
  try {
    parseEndpointFile(text, file)
  } catch (error) {
    problems.push(toError(error).message)
  }
}

function filesOf(discovery: NonNullable<ClusterConfig['discovery']>): string[] {
  const named = discovery as Readonly<Record<string, unknown>>
  const keys = ['file', 'ca_file', 'cert_file', 'key_file', 'token_file', 'password_file']
  return keys.map((key) => named[key]).filter((file) => typeof file === 'string')
}
