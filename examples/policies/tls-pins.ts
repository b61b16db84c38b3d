// A client that knows the server's key, and a spare one: another server is refused, whoever vouches
// for it.
import { systemClock } from 'heddle/runtime'
import { DevAuthority } from 'heddle/security'
import { pinOf, tls } from 'heddle/transports/tls'

const authority = await DevAuthority.create(systemClock)
const [server, spare, other] = await Promise.all([1, 2, 3].map(() => authority.issue()))
const pins = [server, spare].map((one) => pinOf(one?.certificate ?? ''))
const client = tls({ ca: authority.ca, pins })

const connect = async (credentials = server) => {
  if (credentials === undefined) return undefined
  const where = { kind: 'ip', host: '127.0.0.1', port: 0 } as const
  await using listener = await tls({ credentials }).listen(where, {
    onConnection: (connection) => connection.destroy(),
  })
  return await client.connect(listener.address).then(
    (connection) => {
      connection.destroy()
      return 'connected'
    },
    (error: Error) => /none of its public keys is pinned/.exec(error.message)?.[0],
  )
}
console.log(await connect(server)) // connected
console.log(await connect(spare)) // connected
console.log(await connect(other)) // none of its public keys is pinned
