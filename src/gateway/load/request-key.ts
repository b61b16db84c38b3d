/** Whose share a request uses up, as the gateway knows its clients: behind trusted hops. */
import type { CallContext } from '../../core/context.ts'
import type { HttpRequest } from '../../protocols/http/messages.ts'
import { byConnection, type CallKey, hostKey } from '../../runtime/call-key.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'

export interface RequestKeyConfig {
  readonly key: 'all' | 'address' | 'connection' | 'principal' | 'header'
  readonly header?: string | undefined
  readonly ipv6_prefix: number
}

export function requestKey(config: RequestKeyConfig): CallKey<HttpRequest> {
  const { key, header = '', ipv6_prefix: prefix } = config
  const address = (request: HttpRequest): string => {
    const { note } = request
    const client = note instanceof ProxiedRequest ? note.clientAddress : undefined
    // Clients of a Unix socket have no address: they share.
    return client === undefined ? '' : hostKey(client, prefix)
  }
  switch (key) {
    case 'all':
      return () => ''
    case 'address':
      return address
    case 'connection':
      return byConnection
    case 'header': {
      const lower = header.toLowerCase()
      return (request) => request.fields.get(lower) ?? ''
    }
    case 'principal':
      return (request, context) => principalKey(context) ?? `address ${address(request)}`
  }
}

function principalKey({ principal }: CallContext): string | undefined {
  return principal === undefined ? undefined : `${principal.method} ${principal.id}`
}
