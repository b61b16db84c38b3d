// Endpoints from a file that something else writes: calls follow it, and a mistake in it changes nothing.
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileResolver } from 'heddle/discovery'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const folder = await mkdtemp(join(tmpdir(), 'heddle-example-'))
const file = join(folder, 'users.yaml')
const replace = async (text: string) => {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

await using blue = httpServer(() => HttpResponse.text('blue'))
await using green = httpServer(() => HttpResponse.text('green'))
const [one, two] = [
  (await blue.listen(tcp(), 'tcp://127.0.0.1:0')).address,
  (await green.listen(tcp(), 'tcp://127.0.0.1:0')).address,
].map((address) => (address.kind === 'ip' ? `127.0.0.1:${address.port}` : ''))

await replace(`endpoints: [${one}]`)
let changes = 0
let mistake = ''
const resolver = fileResolver({ file, refreshMs: 20, settleMs: 5 })
await using client = httpClient('http://users', {
  resolver,
  observer: {
    onEndpoints: () => void changes++,
    onResolveError: (error) => void (mistake = error.message),
  },
})
const ask = async () => (await client.get('/')).body.text()
console.log(await ask()) // blue

await replace(`endpoints: [${two}]`)
while (changes < 2) await new Promise((resolve) => setTimeout(resolve, 5))
console.log(await ask()) // green

await replace(`endpoints:\n  - ${one}\n  - nowhere\n`)
while (mistake === '') await new Promise((resolve) => setTimeout(resolve, 5))
console.log(mistake) // users.yaml:3 address 'nowhere': expected a port
console.log(await ask()) // green
await rm(folder, { recursive: true })
