// Three ways to log in, tried in order; the service sees who calls, never what with.
import {
  apiKey,
  authenticate,
  basic,
  bearer,
  HttpResponse,
  httpClient,
  httpServer,
} from 'heddle/http'
import { generateApiKey, hashPassword, sharedSecret } from 'heddle/security'
import { tcp } from 'heddle/transports/tcp'

const { key, line } = generateApiKey({ name: 'nightly-job', roles: ['robot'] })
const users = `ada:${await hashPassword('open sesame', { costLog2: 10 })}:admin`
const keys = sharedSecret('a secret of at least thirty-two bytes')
const authentication = authenticate([
  bearer({ keys, issuer: 'https://login.example/', audience: 'orders' }),
  apiKey({ keys: line }),
  basic({ users }),
])
await using server = httpServer(
  (request, { principal }) =>
    HttpResponse.text(
      `${principal?.id} by ${principal?.method}, header ${request.fields.get('authorization')}`,
    ),
  { authentication },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`)

const ask = async (fields: Record<string, string>) =>
  (await client.get('/', { fields })).body.text()
console.log(await ask({ authorization: `Basic ${btoa('ada:open sesame')}` })) // ada by basic, header undefined
console.log(await ask({ 'x-api-key': key.reveal() })) // nightly-job by api-key, header undefined
const refused = await client.get('/', { fields: { authorization: 'Bearer forged.to.ken' } })
console.log(refused.status, refused.fields.getAll('www-authenticate').length) // 401 3
