/**
 * `heddle top`: a running gateway in the terminal, refreshed in place each second.
 *
 *     heddle top --admin 127.0.0.1:9901       heddle top --once       heddle top --json
 *
 * It reads what the dashboard reads. Where standard output is no terminal it prints once.
 */

import { parseAddress } from '../../core/address.ts'
import type { Clock, Random, Timer } from '../../core/clock.ts'
import { toError } from '../../core/errors.ts'
import type { CliProcess } from '../cli-process.ts'
import { ExitCode } from '../exit-code.ts'
import type { Terminal } from '../terminal.ts'
import { GatewayFeed } from './gateway-feed.ts'
import { readKeys } from './keys.ts'
import { TopModel } from './model.ts'
import { Screen, type TerminalInput, type TerminalOutput } from './screen.ts'
import type { Palette } from './tables.ts'
import { plainLines, screenLines } from './view.ts'

export interface TopOptions {
  /** Address, port or URL of the admin service. */
  readonly admin: string
  readonly token: string | undefined
  readonly once: boolean
  readonly json: boolean
  readonly host: TopProcess
  readonly terminal: Terminal
  readonly clock: Clock
  readonly random: Random
}

/** `process`, with the keyboard. */
export interface TopProcess extends CliProcess {
  readonly stdin?: TerminalInput
  readonly stdout: CliProcess['stdout'] & TerminalOutput
}

export async function top(options: TopOptions): Promise<ExitCode> {
  const { terminal, host, clock, random, token } = options
  const { stdin, stdout } = host
  let url: string
  try {
    url = adminUrl(options.admin)
  } catch (error) {
    terminal.err(`${terminal.errStyle.red('heddle:')} ${toError(error).message}\n`)
    return ExitCode.USAGE
  }
  await using feed = new GatewayFeed({ url, token, clock, random })
  const interactive = stdout.isTTY === true && stdin?.isTTY === true
  if (options.once || options.json || !interactive) return await printOnce(feed, url, options)
  return await new TopScreen(feed, url, stdin, options).run()
}

async function printOnce(feed: GatewayFeed, url: string, options: TopOptions): Promise<ExitCode> {
  const { terminal, host, clock } = options
  const where = shortUrl(url)
  try {
    const snapshot = await feed.read()
    if (options.json) {
      terminal.out(`${JSON.stringify(snapshot, undefined, 2)}\n`)
      return ExitCode.OK
    }
    const model = new TopModel()
    model.take(snapshot, true)
    const width = host.stdout.isTTY === true ? (host.stdout.columns ?? 80) : PIPE_COLUMNS
    const view = { where, now: clock.now() }
    terminal.out(`${plainLines(model, width, paletteOf(options), view).join('\n')}\n`)
    return ExitCode.OK
  } catch (error) {
    const message = `no gateway at ${where}: ${reasonOf(toError(error))}`
    terminal.err(`${terminal.errStyle.red('heddle:')} ${message}\n`)
    return ExitCode.UNAVAILABLE
  }
}

class TopScreen {
  readonly #feed: GatewayFeed
  readonly #where: string
  readonly #input: TerminalInput
  readonly #options: TopOptions
  readonly #palette: Palette
  readonly #model = new TopModel()
  #screen: Screen | undefined
  #timer: Timer | undefined

  constructor(feed: GatewayFeed, url: string, input: TerminalInput, options: TopOptions) {
    this.#feed = feed
    this.#where = shortUrl(url)
    this.#input = input
    this.#options = options
    this.#palette = paletteOf(options)
  }

  async run(): Promise<ExitCode> {
    const { host } = this.#options
    const leaving = Promise.withResolvers<void>()
    const leave = (): void => leaving.resolve()
    for (const signal of STOP_SIGNALS) host.on(signal, leave)
    using screen = new Screen(this.#input, host.stdout, {
      onInput: (text) => {
        for (const key of readKeys(text)) {
          if (key === 'ctrl-l') screen.forget()
          else if (!this.#model.key(key, screen.rows)) return leave()
        }
        this.#draw()
      },
      onResize: () => this.#draw(),
    })
    this.#screen = screen
    this.#draw()
    const following = this.#feed.follow({
      onSnapshot: (snapshot, whole) => {
        this.#model.take(snapshot, whole)
        this.#draw()
      },
      onLost: (error, retryAt) => {
        this.#model.lost(reasonOf(error), retryAt)
        this.#draw()
      },
    })
    try {
      await Promise.race([leaving.promise, following])
    } finally {
      this.#screen = undefined
      this.#timer?.cancel()
      for (const signal of STOP_SIGNALS) host.off(signal, leave)
      await this.#feed[Symbol.asyncDispose]()
    }
    return ExitCode.OK
  }

  #draw(): void {
    const screen = this.#screen
    if (screen === undefined) return
    const { clock } = this.#options
    const { columns, rows } = screen
    const view = { where: this.#where, now: clock.now() }
    screen.draw(screenLines(this.#model, { columns, rows }, this.#palette, view))
    this.#timer?.cancel()
    // What is left of a wait is counted down.
    if (this.#model.link.state !== 'lost') return
    this.#timer = clock.setTimer(clock.now() + 1_000, () => this.#draw())
  }
}

function paletteOf({ terminal, host }: TopOptions): Palette {
  const { env } = host
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return { style: terminal.outStyle, unicode: /utf-?8/i.test(locale) || locale === '' }
}

/** `9901`, `host:9901`, `unix:/path`, or a URL. @throws UsageError */
export function adminUrl(text: string): string {
  if (/^https?:\/\//.test(text)) return text.replace(/\/$/, '')
  if (text.startsWith('unix:') || text.startsWith('http+unix:')) {
    return text.startsWith('unix:') ? `http+${text}` : text
  }
  const address = parseAddress(/^\d{1,5}$/.test(text) ? `127.0.0.1:${text}` : text, 9_901)
  if (address.kind !== 'ip') return text
  return `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

function shortUrl(url: string): string {
  return url.replace(/^http:\/\//, '').replace(/^http\+unix:/, 'unix:')
}

/** The cause says more than that there was no connection. */
function reasonOf(error: Error): string {
  const text = error.message
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP']
/** For a pipe: wide enough that nothing is left out. */
const PIPE_COLUMNS = 160
