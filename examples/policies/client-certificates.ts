// A client certificate is the login: the service is told its name, and others stay outside.
import { authenticate, HttpResponse, httpClient, httpServer, mutualTls } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { DevAuthority } from 'heddle/security'
import { type TlsOptions, tls } from 'heddle/transports/tls'

const authority = await DevAuthority.create(systemClock)
const client = await authority.issue({ names: ['orders.internal'], usage: 'client' })

await using server = httpServer(
  (_request, { principal }) => HttpResponse.text(`${principal?.id} by ${principal?.method}`),
  { authentication: authenticate([mutualTls({ sources: ['dns'] })]) },
)
const transport = tls({
  credentials: await authority.issue({ names: ['localhost'] }),
  ca: authority.ca, // who signs the certificates of clients
  clientCertificates: 'request', // 'require' refuses the connection instead
})
const { address } = await server.listen(transport, 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

const ask = async (own: TlsOptions) => {
  await using caller = httpClient(`https://localhost:${port}`, {
    transport: tls({ ca: authority.ca, ...own }),
  })
  const response = await caller.get('/')
  return response.status === 200 ? await response.body.text() : response.status
}
console.log(await ask({ credentials: client })) // orders.internal by mtls
console.log(await ask({})) // 403
