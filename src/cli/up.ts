/**
 * `heddle up`: a gateway for as long as nobody tells it to stop.
 *
 *     SIGHUP, a changed file   reload        SIGUSR1   reopen the access log
 *     SIGTERM, SIGINT          drain, exit 0; a second one stops at once, exit 1
 */
import { toError } from '../core/errors.ts'
import { dns } from '../discovery/dns.ts'
import type { LoadedConfig, LoadOutcome } from '../gateway/config/load.ts'
import { type Gateway, startGateway } from '../gateway/gateway.ts'
import type { GatewayEnvironment } from '../gateway/gateway-environment.ts'
import { nodeTransports } from '../gateway/node-transports.ts'
import { nodeHost } from '../platform/node-host.ts'
import { nodeProcess } from '../platform/node-process.ts'
import { systemClock } from '../platform/system-clock.ts'
import { jsonLogger, type Logger } from '../telemetry/log.ts'
import { banner } from './banner.ts'
import type { CliProcess } from './cli-process.ts'
import { ConfigWatch } from './config-watch.ts'
import { ExitCode } from './exit-code.ts'
import { failureOf } from './failure.ts'
import { descriptorOf, listenDescriptors } from './systemd.ts'
import type { Terminal } from './terminal.ts'
import { version } from './version.ts'

export interface UpOptions {
  readonly file: string | undefined
  readonly quiet: boolean
  readonly load: () => Promise<LoadOutcome>
  readonly host: CliProcess
  readonly terminal: Terminal
}

export async function up(loaded: LoadedConfig, options: UpOptions): Promise<ExitCode> {
  const { terminal, host } = options
  const log = jsonLogger((line) => terminal.err(line), systemClock)
  let gateway: Gateway
  try {
    gateway = await startGateway(loaded, environmentOf(options, log))
  } catch (error) {
    const failure = failureOf(error)
    for (const line of failure.text.split('\n')) {
      terminal.err(`${terminal.errStyle.red('error')} ${line}\n`)
    }
    if (options.file === undefined && failure.exitCode === ExitCode.UNAVAILABLE) {
      terminal.err('--http, --https and --admin choose other addresses for the demo\n')
    }
    return failure.exitCode
  }
  // Signals are heard from here on: whoever reads the banner may send one.
  const ended = runUntilStopped(gateway, host, log)
  if (!options.quiet) terminal.out(banner(gateway, loaded.config, terminal.outStyle))
  using _watch = await watchFile(gateway, loaded, options, log)
  return await ended // awaited: the watch ends with this function
}

function environmentOf(options: UpOptions, log: Logger): GatewayEnvironment {
  const { terminal, host, file, load } = options
  const passed = listenDescriptors(host)
  return {
    clock: systemClock,
    random: nodeHost.random,
    host: nodeHost,
    transports: nodeTransports(systemClock),
    names: (maxTtlMs) => dns({ clock: systemClock, random: nodeHost.random, maxTtlMs }),
    log,
    version: version(),
    process: nodeProcess,
    writeOut: (line) => terminal.out(line),
    writeErr: (line) => terminal.err(line),
    file,
    load,
    descriptor: (address) => descriptorOf(address, passed),
  }
}

async function watchFile(
  gateway: Gateway,
  loaded: LoadedConfig,
  { file }: UpOptions,
  log: Logger,
): Promise<Disposable | undefined> {
  if (file === undefined || !loaded.config.watch) return undefined
  return ConfigWatch.start({
    file,
    clock: systemClock,
    onChange: () => void gateway.reload(),
    onError: (err) => log.warn('the configuration file is not watched', { file, err }),
  })
}

function runUntilStopped(gateway: Gateway, host: CliProcess, log: Logger): Promise<ExitCode> {
  return new Promise((resolve) => {
    const onReload = (): void => void gateway.reload()
    const onReopen = (): void => {
      gateway.reopenLogs().catch((err: unknown) => {
        log.error('access log cannot be opened again', { err: toError(err) })
      })
    }
    let stopping = false
    const onStop = (): void => {
      if (stopping) {
        // Asked twice: whoever asks does not want to wait.
        void gateway.destroy().finally(() => finish(ExitCode.FAILURE))
        return
      }
      stopping = true
      gateway.drain().then(
        () => finish(ExitCode.OK),
        () => finish(ExitCode.SOFTWARE),
      )
    }
    const handlers: readonly [NodeJS.Signals, () => void][] = [
      ['SIGHUP', onReload],
      ['SIGUSR1', onReopen],
      ['SIGTERM', onStop],
      ['SIGINT', onStop],
    ]
    for (const [signal, handler] of handlers) host.on(signal, handler)
    const finish = (code: ExitCode): void => {
      for (const [signal, handler] of handlers) host.off(signal, handler)
      resolve(code)
    }
    // Admin may drain it as well.
    void gateway.stopped.then(() => finish(ExitCode.OK))
  })
}
