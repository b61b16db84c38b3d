// Endpoints from Kubernetes: the EndpointSlices of a service, listed once and watched from there.
import { kubernetes } from 'heddle/discovery'
import { fetchHandler, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const listen = async (server: ReturnType<typeof httpServer>) => {
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  return address.kind === 'ip' ? address.port : 0
}
await using blue = httpServer(() => HttpResponse.text('blue'))
await using green = httpServer(() => HttpResponse.text('green'))
const ports = { blue: await listen(blue), green: await listen(green) }

// Where the API server would be: one slice and one change of it.
const slice = (port: number, resourceVersion: string) => ({
  kind: 'EndpointSlice',
  apiVersion: 'discovery.k8s.io/v1',
  metadata: {
    name: 'users-1',
    namespace: 'shop',
    resourceVersion,
    labels: { 'kubernetes.io/service-name': 'users' },
  },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
  ports: [{ name: 'http', port, protocol: 'TCP' }],
})
let watch: ReadableStreamDefaultController<Uint8Array> | undefined
await using api = httpServer(
  fetchHandler(({ url }) => {
    if (!url.includes('watch=')) {
      return Response.json({
        kind: 'EndpointSliceList',
        apiVersion: 'discovery.k8s.io/v1',
        metadata: { resourceVersion: '10' },
        items: [slice(ports.blue, '10')],
      })
    }
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        watch = controller
      },
    })
    return new Response(body, { headers: { 'content-type': 'application/json' } })
  }),
)

{
  await using client = httpClient('http://users', {
    resolver: kubernetes({
      url: `http://127.0.0.1:${await listen(api)}`,
      service: 'users.shop:http',
    }),
  })
  const ask = async () => (await client.get('/')).body.text()
  console.log(await ask()) // blue

  while (watch === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  const event = { type: 'MODIFIED', object: slice(ports.green, '11') }
  watch.enqueue(new TextEncoder().encode(`${JSON.stringify(event)}\n`))
  while ((await ask()) !== 'green') await new Promise((resolve) => setTimeout(resolve, 5))
  console.log('the new endpoint') // the new endpoint
}
