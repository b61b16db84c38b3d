// A scheme of one's own with two steps: the server asks, the client answers.
import {
  authenticate,
  HttpResponse,
  httpClient,
  httpServer,
  refusedAttempt,
  schemeAuthenticator,
} from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const open = new Set<string>()
const riddle = schemeAuthenticator({
  method: 'riddle',
  scheme: 'riddle',
  challenge: () => 'Riddle',
  attempt: (rest) => {
    if (rest === '') {
      if (open.size > 100) return refusedAttempt('too many dialogues are open')
      const id = crypto.randomUUID()
      open.add(id)
      const challenge = `Riddle id="${id}", sum="19+23"`
      return { name: undefined, verify: () => ({ outcome: 'challenged', challenge }) }
    }
    const [id = '', answer] = rest.split('/')
    if (!open.delete(id) || answer !== '42') return refusedAttempt('wrong')
    const principal = { id: 'somebody who adds', method: 'riddle', roles: [], attributes: {} }
    return { name: undefined, verify: () => ({ outcome: 'accepted', principal }) }
  },
})
await using server = httpServer(
  (_request, { principal }) => HttpResponse.text(`${principal?.id}`),
  {
    authentication: authenticate([riddle]),
  },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`)

const first = await client.get('/', { fields: { authorization: 'Riddle' } })
const asked = first.fields.get('www-authenticate') ?? ''
console.log(first.status, asked.replace(/[0-9a-f-]{36}/, '…')) // 401 Riddle id="…", sum="19+23"
const id = /id="([^"]+)"/.exec(asked)?.[1]
const second = await client.get('/', { fields: { authorization: `Riddle ${id}/42` } })
console.log(second.status, await second.body.text()) // 200 somebody who adds
