// Who was refused, in a log that shows when somebody touched it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { authenticate, basic, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { AuditLog, verifyAudit } from 'heddle/security'
import { tcp } from 'heddle/transports/tcp'

const folder = await mkdtemp(join(tmpdir(), 'audit-'))
const path = join(folder, 'audit.log')
{
  await using audit = await AuditLog.open({ path, clock: systemClock })
  const authentication = authenticate([basic({ users: () => undefined })], { observer: audit })
  await using server = httpServer(() => HttpResponse.text('in'), {
    authentication,
    middleware: [audit.gate()],
  })
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  const port = address.kind === 'ip' ? address.port : 0
  await using client = httpClient(`http://127.0.0.1:${port}`)
  for (const name of ['ada', 'eve']) {
    const authorization = `Basic ${btoa(`${name}:guess`)}`
    await client.get('/', { fields: { authorization } })
  }
}
const text = await readFile(path, 'utf8')
console.log(JSON.parse(text.split('\n')[1] ?? '').principal, text.includes('guess')) // eve false
console.log((await verifyAudit([path])).ok) // true
await writeFile(path, text.replace('eve', 'bob'))
console.log((await verifyAudit([path])).broken?.reason) // its hash is not that of its content
await rm(folder, { recursive: true })
