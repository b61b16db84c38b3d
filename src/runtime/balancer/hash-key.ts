/**
 * What a call is hashed by: calls with the same key go to the same endpoint. A key is a function
 * of request and context; these are the ones that every protocol has. Those of HTTP (a header, a
 * cookie, a parameter) are in protocols/http/hash-key.ts.
 *
 * A call without a key goes anywhere.
 */
import type { CallContext } from '../../core/context.ts'
import type { Classifier, HashKey } from '../../core/policy.ts'

/** Metadata of the call, as the caller or the server's protocol gave it. Lower-case names. */
export function hashByMetadata(name: string): HashKey<unknown> {
  return (_request, context) => context.metadata.get(name)
}

/**
 * The address, without the port, of the peer whose call on our server this one belongs to. Behind a
 * proxy that is the proxy.
 */
export function hashByPeerAddress(): HashKey<unknown> {
  return (_request, { connection }) => {
    const remote = connection?.facts.remote
    return remote?.kind === 'ip' ? remote.host : undefined
  }
}

/** Who makes the call. The method is part of it: an id is unique only within one. */
export function hashByPrincipal(): HashKey<unknown> {
  return (_request, { principal }) => principal && `${principal.method}/${principal.id}`
}

/** The protocol's operation: each kind of call has its home. Few kinds use few endpoints. */
export function hashByOperation<Req>(
  classifier: Pick<Classifier<Req, unknown>, 'operation'>,
): HashKey<Req> {
  return (request) => classifier.operation(request)
}

/** The first of them that gives a key. */
export function firstHashKey<Req>(...keys: readonly HashKey<Req>[]): HashKey<Req> {
  return (request: Req, context: CallContext) => {
    for (const key of keys) {
      const found = key(request, context)
      if (found !== undefined) return found
    }
    return undefined
  }
}
