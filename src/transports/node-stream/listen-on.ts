/**
 * `server.listen` as a promise, its errors in heddle's words.
 */
import type { ListenOptions, Server } from 'node:net'
import type { Address } from '../../core/address.ts'
import { toError } from '../../core/errors.ts'
import { listenError } from './system-errors.ts'

/** Node binds before this returns, unless a cluster's primary does it. */
export function listenOn(
  server: Server,
  address: Address,
  where: ListenOptions & { fd?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenError(error, address))
    server.once('error', onError)
    try {
      server.listen(where, () => {
        server.off('error', onError)
        resolve()
      })
    } catch (error) {
      onError(toError(error))
    }
  })
}
