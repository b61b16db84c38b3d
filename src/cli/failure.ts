/** What went wrong, as an exit code and as words for the person who started us. */
import { HeddleError, toError } from '../core/errors.ts'
import { ExitCode } from './exit-code.ts'

export interface Failure {
  readonly exitCode: ExitCode
  readonly text: string
}

export function failureOf(thrown: unknown): Failure {
  const error = toError(thrown)
  if (!(error instanceof HeddleError)) {
    return { exitCode: ExitCode.SOFTWARE, text: error.stack ?? error.message }
  }
  const { code, detail, message } = error
  if (code === 'ERR_CONFIG') {
    const exitCode = detail?.['denied'] === true ? ExitCode.NO_PERMISSION : ExitCode.CONFIG
    return { exitCode, text: message }
  }
  if (code === 'ERR_ADDRESS_IN_USE') return { exitCode: ExitCode.UNAVAILABLE, text: message }
  if (code === 'ERR_LISTEN') {
    const denied = systemCode(error) === 'EACCES'
    const hint = denied ? ' (ports below 1024 need a capability: CAP_NET_BIND_SERVICE)' : ''
    const exitCode = denied ? ExitCode.NO_PERMISSION : ExitCode.UNAVAILABLE
    return { exitCode, text: message + hint }
  }
  if (error.blame === 'caller') return { exitCode: ExitCode.CONFIG, text: message }
  if (error.blame === 'network') return { exitCode: ExitCode.UNAVAILABLE, text: message }
  return { exitCode: ExitCode.SOFTWARE, text: error.stack ?? message }
}

function systemCode(error: Error): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== undefined && /^E[A-Z]+$/.test(code) && !code.startsWith('ERR_')) return code
  }
  return undefined
}
