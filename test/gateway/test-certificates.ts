/** Certificates of one authority, in files that a configuration names. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../src/platform/system-clock.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'

export async function certificates(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const authority = await DevAuthority.create(systemClock)
  const write = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name)
    await writeFile(file, text)
    return file
  }
  let ca = ''
  const issue = async (...names: string[]) => {
    const issued = await authority.issue({ names })
    ca = issued.ca
    return {
      cert_file: await write(`${names[0]}.cert.pem`, issued.certificate),
      key_file: await write(`${names[0]}.key.pem`, issued.key),
      issued,
    }
  }
  return { issue, ca: () => ca, caFile: () => write('ca.pem', ca) }
}
