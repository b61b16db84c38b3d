/**
 * A cache in front of a client: what says that it may be kept is asked for once.
 *
 * Run it: node examples/library/http-cache.ts
 */
import { Call, HttpCache, HttpRequest, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { tcp } from 'heddle/transports/tcp'

let asked = 0
await using server = httpServer(() => {
  asked++
  return HttpResponse.json({ asked }, { fields: { 'cache-control': 'max-age=60', etag: '"1"' } })
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const authority = address.kind === 'ip' ? `127.0.0.1:${address.port}` : ''
await using client = httpClient(`http://${authority}`)

const cache = new HttpCache({ clock: systemClock, mode: 'private' })
const call = cache.middleware(client.call)
const request = new HttpRequest({ authority, target: '/catalog' })

const first = await call(request, new Call())
console.log(await first.body.text(), first.fields.get('cache-status')) // {"asked":1} heddle; fwd=uri-miss; stored
const second = await call(request, new Call())
console.log(await second.body.text(), cache.stats.hits) // {"asked":1} 1
