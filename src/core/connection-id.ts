/**
 * `Connection.id`: one count for every transport of the process, so that an id in a log line or a
 * metric means one connection, whatever it runs over.
 */

/** From 1, never reused. 2^53 of them outlast any process. */
export function nextConnectionId(): number {
  lastId += 1
  return lastId
}

let lastId = 0
