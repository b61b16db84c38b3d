// Endpoints from etcd: the keys below a prefix, read once and followed by a watch.
import { etcd } from 'heddle/discovery'
import { fetchHandler, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const listen = async (server: ReturnType<typeof httpServer>) => {
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  return address.kind === 'ip' ? address.port : 0
}
await using blue = httpServer(() => HttpResponse.text('blue'))
await using green = httpServer(() => HttpResponse.text('green'))
const ports = { blue: await listen(blue), green: await listen(green) }

// Where etcd would be: its JSON gateway, with one key and one change of it.
const kv = (port: number) => ({
  key: btoa('users/a'),
  value: btoa(`127.0.0.1:${port}`),
  mod_revision: '11',
})
const line = (result: object) => new TextEncoder().encode(`${JSON.stringify({ result })}\n`)
let watch: ReadableStreamDefaultController<Uint8Array> | undefined
await using member = httpServer(
  fetchHandler(async (request) => {
    await request.text()
    if (request.url.endsWith('/v3/kv/range')) {
      return Response.json({ header: { revision: '10' }, kvs: [kv(ports.blue)], count: '1' })
    }
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(line({ header: { revision: '10' }, created: true }))
        watch = controller
      },
    })
    return new Response(body)
  }),
)

{
  await using client = httpClient('http://users', {
    resolver: etcd({ url: `http://127.0.0.1:${await listen(member)}` }),
  })
  const ask = async () => (await client.get('/')).body.text()
  console.log(await ask()) // blue

  while (watch === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  watch.enqueue(line({ header: { revision: '11' }, events: [{ kv: kv(ports.green) }] }))
  while ((await ask()) !== 'green') await new Promise((resolve) => setTimeout(resolve, 5))
  console.log('the new endpoint') // the new endpoint
}
