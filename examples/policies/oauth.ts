// A client that gets its own tokens, one request for all calls, and another when one is refused.
import { bearerCredentials, HttpResponse, httpClient, httpServer, oauthTokens } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

let issued = 0
await using issuer = httpServer(() =>
  HttpResponse.json({ access_token: `t${++issued}`, token_type: 'Bearer', expires_in: 600 }),
)
await using api = httpServer((request) => {
  const token = request.fields.get('authorization')
  // The first token was withdrawn.
  return token === 'Bearer t1' ? new HttpResponse({ status: 401 }) : HttpResponse.text(`${token}`)
})
const at = async (server: typeof api) => {
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  return `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
}
await using login = httpClient(await at(issuer))
const tokens = oauthTokens({ client: login, clientId: 'orders', clientSecret: 'from a file' })
await using client = httpClient(await at(api), { credentials: bearerCredentials(tokens) })

const answers = await Promise.all([client.get('/'), client.get('/'), client.get('/')])
const statuses = answers.map(({ status }) => status).join(' ')
console.log(`${statuses}, ${issued} tokens`) // 200 200 200, 2 tokens
