// Roles that inherit, a denial that always wins, and a condition on who asks.
import { authenticate, authorize, basic, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { AccessPolicy } from 'heddle/security'
import { tcp } from 'heddle/transports/tcp'

const policy = new AccessPolicy({
  roles: {
    reader: { allow: [{ actions: ['GET'], resources: ['/orders/**'] }] },
    clerk: { inherits: ['reader'], allow: [{ actions: ['POST'], resources: ['/orders'] }] },
  },
  allow: [{ actions: ['*'], resources: ['/users/{id}'], when: [{ cidr: ['127.0.0.0/8'] }] }],
  deny: [{ actions: ['*'], resources: ['/orders/secret/**'] }],
})
const users = (name: string) => ({ roles: name === 'ada' ? ['clerk'] : ['reader'] })
await using server = httpServer(() => HttpResponse.text('done'), {
  authentication: authenticate([basic({ users })]),
  authorization: authorize(policy),
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`)

const ask = async (name: string, method: string, target: string) => {
  const fields = { authorization: `Basic ${btoa(`${name}:x`)}` }
  return (await client.request({ method, target, fields })).status
}
console.log(await ask('bob', 'GET', '/orders/1'), await ask('bob', 'POST', '/orders')) // 200 403
console.log(await ask('ada', 'GET', '/orders/1'), await ask('ada', 'POST', '/orders')) // 200 200
console.log(await ask('ada', 'GET', '/orders/secret/1'), await ask('ada', 'GET', '/orders/./1')) // 403 403
console.log(await ask('ada', 'PUT', '/users/ada'), await ask('ada', 'PUT', '/users/bob')) // 200 403
