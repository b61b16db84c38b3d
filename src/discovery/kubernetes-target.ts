/** Which service of Kubernetes a target means. */
import { readFile } from 'node:fs/promises'
import { UsageError } from '../core/errors.ts'
import { redactUrl } from '../core/secret.ts'

export interface KubernetesTarget {
  readonly service: string
  /** Undefined: our own. */
  readonly namespace: string | undefined
  /** A name or number of the slices' ports; undefined: the only one. */
  readonly port: string | undefined
}

/** @throws UsageError ERR_ADDRESS_INVALID */
export function parseKubernetesTarget(target: string): KubernetesTarget {
  const text = target.replace(/^(kubernetes|k8s):(\/\/\/?)?/, '')
  const match =
    /^([a-z0-9-]{1,63})(?:\.([a-z0-9-]{1,63}))?(?:\.svc(?:\..*)?)?(?::([a-z0-9-]{1,15}))?$/.exec(
      text,
    )
  if (match?.[1] === undefined) {
    const expected = 'service, service.namespace or service.namespace:port'
    throw new UsageError(
      'ERR_ADDRESS_INVALID',
      `target '${redactUrl(target)}': expected ${expected}`,
    )
  }
  return { service: match[1], namespace: match[2], port: match[3] }
}

export async function namespaceOf(given: string | undefined): Promise<string> {
  if (given !== undefined) return given
  try {
    return (await readFile(NAMESPACE_FILE, 'utf8')).trim()
  } catch {
    return 'default' // not in a pod: what kubectl takes
  }
}

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'
