/**
 * The configuration in force as YAML: defaults filled in, secrets replaced.
 */
import { stringify } from 'yaml'
import { isSecretField } from '../../protocols/http/secret-fields.ts'
import { type ConfigPath, formatPath } from './problem.ts'
import type { GatewayConfig } from './schema/gateway.ts'

/** @param secretPaths values that came from variables with a secret's name (load.ts) */
export function effectiveConfig(
  config: GatewayConfig,
  secretPaths: ReadonlySet<string> = NONE,
): string {
  return stringify(redact(config, [], secretPaths), { lineWidth: 100 })
}

function redact(value: unknown, path: ConfigPath, secretPaths: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) {
    return value.map((item, index) => redact(item, [...path, index], secretPaths))
  }
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, redact(item, [...path, key], secretPaths)])
    return Object.fromEntries(entries)
  }
  return isSecret(path) || secretPaths.has(formatPath(path)) ? REDACTED : value
}

/** Values that are secret by what they are for: pass phrases, credentials of registries and in headers. */
function isSecret(path: ConfigPath): boolean {
  const key = path.at(-1)
  if (key === 'passphrase') return true
  const parent = path.at(-2)
  if (parent === 'discovery' && (key === 'token' || key === 'password')) return true
  return (parent === 'set' || parent === 'add') && typeof key === 'string' && isSecretHeader(key)
}

/** Whether a header's value must not appear in logs and pages. */
export function isSecretHeader(name: string): boolean {
  return isSecretField(name)
}

const REDACTED = '[redacted]'
const NONE: ReadonlySet<string> = new Set()
