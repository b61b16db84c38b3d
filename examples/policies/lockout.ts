// Too many wrong passwords: that name waits at that address. Nobody else does.
import { authenticate, basic, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { lockout } from 'heddle/security'
import { tcp } from 'heddle/transports/tcp'

const users = (name: string, password: string) =>
  name === 'ada' && password === 'right' ? { roles: ['admin'] } : undefined
const guard = lockout({ maxFailures: 3, lockMs: 30_000 })
const authentication = authenticate([basic({ users })], { guard })
await using server = httpServer(() => HttpResponse.text('in'), { authentication })
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`, { retry: false })

const login = async (name: string, password: string) => {
  const authorization = `Basic ${btoa(`${name}:${password}`)}`
  const { status, fields } = await client.get('/', { fields: { authorization } })
  return `${status} ${fields.get('retry-after') ?? ''}`.trim()
}
for (const guess of ['a', 'b', 'c']) await login('ada', guess)
console.log(await login('ada', 'right')) // 429 30
console.log(await login('bob', 'x')) // 401
