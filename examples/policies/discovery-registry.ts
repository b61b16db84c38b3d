// A registry of your own: one function that reads it, and one that says when to read it again.
import { registryResolver } from 'heddle/discovery'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using blue = httpServer(() => HttpResponse.text('blue'))
await using green = httpServer(() => HttpResponse.text('green'))
const [one, two] = [
  { address: (await blue.listen(tcp(), 'tcp://127.0.0.1:0')).address },
  { address: (await green.listen(tcp(), 'tcp://127.0.0.1:0')).address },
]

let live = one
let tell = () => {}
const resolver = registryResolver({
  load: async () => [live],
  watch: (_service, { changed }) => {
    tell = changed
    return () => {}
  },
})
let sets = 0
await using client = httpClient('http://users', {
  resolver,
  observer: { onEndpoints: () => void sets++ },
})
const ask = async () => (await client.get('/')).body.text()
console.log(await ask()) // blue
live = two
tell()
while (sets < 2) await new Promise((resolve) => setTimeout(resolve, 5))
console.log(await ask()) // green
