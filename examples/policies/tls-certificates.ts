// A certificate is renewed on disk: the next handshake shows it, on the same socket, and a broken one
// never takes its place.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HttpResponse, httpServer } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { DevAuthority } from 'heddle/security'
import { certificateFiles, rotatingTicketKeys, tls } from 'heddle/transports/tls'

const folder = await mkdtemp(join(tmpdir(), 'tls-'))
const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
const authority = await DevAuthority.create(systemClock)
const place = async (...names: string[]) => {
  const { certificate, key } = await authority.issue({ names })
  await writeFile(certFile, certificate)
  await writeFile(keyFile, key)
}
await place('localhost')

await using certificates = await certificateFiles({ certificates: [{ certFile, keyFile }] })
const ticketKeys = rotatingTicketKeys({ clock: systemClock, secret: new Uint8Array(32).fill(7) })
await using server = httpServer(() => HttpResponse.text('in'))
const { address } = await server.listen(tls({ certificates, ticketKeys }), 'tcp://127.0.0.1:0')
const client = tls({ ca: authority.ca, serverName: 'localhost' })
const shown = async () => {
  const connection = await client.connect(address)
  connection.destroy()
  return connection.facts.tls?.peerCertificate()?.subject
}

console.log(await shown()) // CN=localhost
await place('renewed', 'localhost')
console.log(await certificates.reload(), await shown()) // reloaded CN=renewed
await writeFile(keyFile, 'half a')
console.log(await certificates.reload(), await shown()) // rejected CN=renewed
await rm(folder, { recursive: true })
