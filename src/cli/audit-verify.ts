/**
 * `heddle audit verify`: reads the files of an audit log and prints the first place that was touched.
 */
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { HeddleError, toError } from '../core/errors.ts'
import { readPublicKey } from '../security/audit/audit-checkpoint.ts'
import { auditKey } from '../security/audit/audit-log.ts'
import { type AuditReport, verifyAudit } from '../security/audit/audit-verify.ts'
import type { AuditCommand } from './arguments.ts'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

export async function auditVerify(command: AuditCommand, terminal: Terminal): Promise<ExitCode> {
  const { files, keyFile, checkpoint, publicKeyFile, partial, json } = command
  let report: AuditReport
  try {
    report = await verifyAudit(files, {
      partial,
      ...(keyFile !== undefined && { key: await readKey(keyFile) }),
      ...(checkpoint !== undefined && { checkpoint: await readFile(checkpoint, 'utf8') }),
      ...(publicKeyFile !== undefined && { publicKey: await publicKeyOf(publicKeyFile) }),
    })
  } catch (thrown) {
    const error = toError(thrown)
    terminal.err(`${terminal.errStyle.red('error')} ${error.message}\n`)
    return exitCodeOf(error)
  }
  if (json) terminal.out(`${JSON.stringify(report)}\n`)
  else terminal.out(describe(report, command, terminal))
  return report.ok ? ExitCode.OK : ExitCode.FAILURE
}

function describe(report: AuditReport, command: AuditCommand, terminal: Terminal): string {
  const { records, firstSeq, lastSeq, lastHash, broken, checkpoint } = report
  if (broken !== undefined) {
    const { file, line, seq, kind, reason } = broken
    const place = [file, ...(line > 0 ? [line] : [])].join(':')
    const record = seq === undefined ? '' : ` record ${seq}`
    const where = place === '' ? (command.checkpoint ?? '') : place
    const after =
      records === 0 ? 'no record before it' : `${records} records before it are in order`
    return `${where}: ${terminal.outStyle.red(kind)}${record}: ${reason} (${after})\n`
  }
  if (records === 0)
    return `${terminal.outStyle.green('ok')}: no records, which a checkpoint would know\n`
  const range = `records ${firstSeq} to ${lastSeq}`
  const until =
    checkpoint === undefined
      ? 'the end is as it is: without a checkpoint nobody knows whether more was there'
      : `the checkpoint vouches for records up to ${checkpoint}`
  return `${terminal.outStyle.green('ok')}: ${range}, last hash ${lastHash}; ${until}\n`
}

async function readKey(file: string): Promise<KeyObject> {
  return auditKey((await readFile(file, 'utf8')).replace(/\r?\n$/, ''))
}

async function publicKeyOf(file: string): Promise<KeyObject> {
  const text = await readFile(file, 'utf8')
  try {
    return readPublicKey(text)
  } catch {
    throw Object.assign(new Error(`${file} is no public key in PEM`), { code: 'ERR_CONFIG' })
  }
}

function exitCodeOf(error: Error): ExitCode {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return ExitCode.NO_INPUT
  if (code === 'EACCES') return ExitCode.NO_PERMISSION
  return error instanceof HeddleError || code === 'ERR_CONFIG' ? ExitCode.CONFIG : ExitCode.FAILURE
}
