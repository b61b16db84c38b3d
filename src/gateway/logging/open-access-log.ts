/** The access log as the configuration wants it: none, a stream of the process, or a file. */
import type { Clock } from '../../core/clock.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { Logger } from '../../telemetry/log.ts'
import { sizeBytes } from '../config/quantity.ts'
import type { AccessLogConfig } from '../config/schema/gateway.ts'
import { AccessLog } from './access-log.ts'
import { LineFile } from './line-file.ts'

export interface AccessLogEnvironment {
  readonly clock: Clock
  readonly writeOut: (line: string) => void
  readonly writeErr: (line: string) => void
  readonly log: Logger
}

export interface OpenAccessLog {
  readonly log: AccessLog
  /** To be opened again, and closed. */
  readonly file: LineFile | undefined
}

/** @throws UsageError ERR_CONFIG when the file cannot be opened */
export async function openAccessLog(
  config: AccessLogConfig,
  environment: AccessLogEnvironment,
): Promise<OpenAccessLog | undefined> {
  const { clock, writeOut, writeErr, log } = environment
  const { path, headers, query } = config
  if (path === 'off') return undefined
  const settings = { clock, headers, query }
  if (path === 'stdout' || path === 'stderr') {
    const sink = path === 'stdout' ? writeOut : writeErr
    return { log: new AccessLog({ ...settings, sink }), file: undefined }
  }
  try {
    const file = await LineFile.open(path, {
      maxBuffered: sizeBytes(config.max_buffered),
      onError: (error) => log.error('access log cannot be written', { path, err: error }),
    })
    return { log: new AccessLog({ ...settings, sink: (line) => file.write(line) }), file }
  } catch (error) {
    const message = `access log ${path} cannot be opened: ${toError(error).message}`
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES'
    throw new UsageError('ERR_CONFIG', message, { cause: error, detail: { denied } })
  }
}
