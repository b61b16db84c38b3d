/**
 * The one message of a stream that must have exactly one: the request of a unary call that did not
 * come whole, the reply of a call whose requests were streamed.
 */
import type { Source } from '../../core/flow.ts'
import { GrpcError } from './grpc-error.ts'

/**
 * @throws GrpcError UNIMPLEMENTED for none or more than one (statuscodes.md, "cardinality
 * violation"); whatever the stream fails with
 */
export function onlyOne<Message>(
  messages: Source<Message>,
  what: 'request' | 'reply',
): Promise<Message> {
  return new Promise((resolve, reject) => {
    let only: Message | undefined
    const flow = messages.open({
      write(message) {
        if (only === undefined) {
          only = message
          return true
        }
        const error = wrongCount(what, 'more than one')
        flow.cancel(error)
        reject(error)
        return false
      },
      end() {
        if (only === undefined) reject(wrongCount(what, 'none'))
        else resolve(only)
      },
      fail: reject,
    })
    flow.resume()
  })
}

function wrongCount(what: 'request' | 'reply', count: string): GrpcError {
  return new GrpcError('UNIMPLEMENTED', `one ${what} message was expected, ${count} came`)
}
