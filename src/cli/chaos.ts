/**
 * `heddle chaos`: proxies that break connections on purpose, with toxiproxy's control API.
 *
 *     heddle chaos --listen 127.0.0.1:0 --upstream 127.0.0.1:5432 --toxic latency=100,jitter=20
 *
 * SIGTERM and SIGINT stop it: clients are cut, exit 0.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { parse as parseYaml } from 'yaml'
import { formatAddress, parseAddress } from '../core/address.ts'
import { type ToxicSpec, toxicTypes } from '../core/chaos/toxic.ts'
import { toError, UsageError } from '../core/errors.ts'
import { redactUrl } from '../core/secret.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { ChaosProxies, type ProxySpec } from '../servers/chaos/chaos-proxies.ts'
import { chaosApi } from '../servers/chaos/control-api.ts'
import { httpServer } from '../servers/http/http-server.ts'
import { tcp } from '../transports/tcp/tcp.ts'
import type { CliProcess } from './cli-process.ts'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

export async function chaosCommand(
  args: readonly string[],
  host: CliProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  let plan: Plan
  try {
    const read = await readPlan(args)
    if (read === 'help') {
      terminal.out(CHAOS_HELP)
      return ExitCode.OK
    }
    plan = read
  } catch (error) {
    terminal.err(`${terminal.errStyle.red('heddle:')} ${toError(error).message}\n`)
    return (error as { code?: string }).code === 'ENOENT' ? ExitCode.NO_INPUT : ExitCode.USAGE
  }
  const stopped = stopSignal(host)
  await using proxies = new ChaosProxies({
    clock: systemClock,
    seed: plan.seed,
    onError: (proxy, error) => terminal.err(`${proxy}: ${error.message}\n`),
  })
  try {
    for (const { toxics, ...spec } of plan.proxies) {
      const proxy = await proxies.add(spec)
      for (const toxic of toxics) proxy.toxics.add(toxic)
    }
    await using server = httpServer(chaosApi(proxies), { name: 'chaos' })
    const api = await server.listen(tcp(), parseAddress(plan.api))
    const { bold, dim } = terminal.outStyle
    terminal.out(`${bold('chaos')} seed ${plan.seed}  api ${formatAddress(api.address)}\n`)
    if (!plan.quiet) terminal.out(dim(table(proxies)))
    const live = host.stdout.isTTY === true && !plan.quiet ? repaint(proxies, terminal) : undefined
    await stopped
    live?.[Symbol.dispose]()
    return ExitCode.OK
  } catch (error) {
    terminal.err(`${terminal.errStyle.red('heddle:')} ${toError(error).message}\n`)
    return error instanceof UsageError ? ExitCode.CONFIG : ExitCode.UNAVAILABLE
  }
}

interface Plan {
  readonly seed: number
  readonly api: string
  readonly quiet: boolean
  readonly proxies: readonly (ProxySpec & { readonly toxics: readonly ToxicSpec[] })[]
}

async function readPlan(args: readonly string[]): Promise<Plan | 'help'> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      listen: { type: 'string' },
      upstream: { type: 'string' },
      toxic: { type: 'string', multiple: true },
      seed: { type: 'string' },
      api: { type: 'string' },
      quiet: { type: 'boolean', short: 'q' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return 'help'
  if (positionals.length > 1) throw new UsageError('ERR_ARGUMENT', 'chaos takes one file at most')
  const file = positionals[0] === undefined ? {} : await readPlanFile(positionals[0])
  const toxics = (values.toxic ?? []).map(parseToxic)
  const { listen = '', upstream } = values
  if (upstream === undefined && (toxics.length > 0 || values.listen !== undefined)) {
    throw new UsageError('ERR_ARGUMENT', '--listen and --toxic need --upstream')
  }
  const own = upstream === undefined ? [] : [{ name: 'default', listen, upstream, toxics }]
  const seed = values.seed ?? file.seed ?? Math.floor(nodeHost.random() * 2 ** 31)
  if (!Number.isInteger(Number(seed))) {
    throw new UsageError('ERR_ARGUMENT', `--seed is '${seed}', must be a whole number`)
  }
  return {
    seed: Number(seed),
    api: values.api ?? file.api ?? DEFAULT_API,
    quiet: values.quiet === true,
    proxies: [...(file.proxies ?? []), ...own].map((proxy) => ({
      ...proxy,
      toxics: proxy.toxics ?? [],
    })),
  }
}

interface PlanFile {
  readonly seed?: number
  readonly api?: string
  readonly proxies?: readonly (ProxySpec & { readonly toxics?: readonly ToxicSpec[] })[]
}

/** YAML, or JSON: also toxiproxy's own file, which is the list of proxies. */
async function readPlanFile(path: string): Promise<PlanFile> {
  const content: unknown = parseYaml(await readFile(path, 'utf8'))
  const plan = (Array.isArray(content) ? { proxies: content } : (content ?? {})) as PlanFile
  const { proxies = [] } = plan
  const isList = Array.isArray(proxies)
  if (
    !isList ||
    proxies.some((one) => typeof one?.name !== 'string' || typeof one.upstream !== 'string')
  ) {
    throw new UsageError(
      'ERR_CONFIG',
      `${path}: proxies must be a list, each with name and upstream`,
    )
  }
  return plan
}

/** `latency=100,jitter=20`, `upstream:loss=0.1,toxicity=0.5`, `partition`. */
export function parseToxic(text: string): ToxicSpec {
  const match = /^(?:(upstream|downstream):)?([a-z_]+)(?:=(.*))?$/.exec(text)
  const type = match?.[2]
  if (type === undefined || !Object.hasOwn(toxicTypes, type)) {
    const known = Object.keys(toxicTypes).join(', ')
    throw new UsageError('ERR_ARGUMENT', `--toxic '${text}': expected type=value, one of ${known}`)
  }
  const known = type as ToxicSpec['type']
  const [first = ''] = Object.keys(toxicTypes[known].attributes)
  const attributes: Record<string, number> = {}
  for (const [index, part] of (match?.[3]?.split(',') ?? []).entries()) {
    const [left = '', right] = part.split('=')
    const name = index === 0 && right === undefined ? first : left
    const value = Number(right ?? left)
    if ((right ?? left) === '' || Number.isNaN(value)) {
      throw new UsageError('ERR_ARGUMENT', `--toxic '${text}': ${name} is not a number`)
    }
    attributes[name] = value
  }
  const { toxicity = 1, ...own } = attributes
  const stream = match?.[1] === 'upstream' ? 'upstream' : 'downstream'
  return { type: known, stream, toxicity, attributes: own }
}

function table(proxies: ChaosProxies): string {
  const rows = proxies.list.map((proxy) => {
    const toxics = proxy.toxics.list.map(({ type, stream, attributes, toxicity }) => {
      const said = Object.entries(attributes).map(([name, value]) => `${name}=${value}`)
      const share = toxicity < 1 ? ` ${toxicity * 100} %` : ''
      return `${stream === 'upstream' ? '↑' : '↓'}${type}(${said.join(',')})${share}`
    })
    const { name, listen, upstream, connections, bytesUp, bytesDown } = proxy
    const state = proxy.enabled ? '' : ' down'
    const counts = `${connections} open  ↑${bytesUp} B ↓${bytesDown} B`
    return `  ${name}${state}  ${listen} → ${redactUrl(upstream)}  ${counts}  ${toxics.join(' ')}`.trimEnd()
  })
  return `${rows.join('\n')}\n`
}

/** Writes the table again, over itself, each second. */
function repaint(proxies: ChaosProxies, terminal: Terminal): Disposable {
  let lines = table(proxies).split('\n').length - 1
  const timer = setInterval(() => {
    const text = table(proxies)
    terminal.out(`\u001b[${lines}A\u001b[J${terminal.outStyle.dim(text)}`)
    lines = text.split('\n').length - 1
  }, 1_000)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

function stopSignal(host: CliProcess): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      host.off('SIGINT', stop)
      host.off('SIGTERM', stop)
      resolve()
    }
    host.on('SIGINT', stop)
    host.on('SIGTERM', stop)
  })
}

/** Port 8474 is toxiproxy's: its clients find it. */
const DEFAULT_API = '127.0.0.1:8474'

export const CHAOS_HELP = `heddle chaos [proxies.yaml]    breaks connections on purpose, by seed

    --listen <address>         where clients connect; udp://host:port for UDP,
                               ws://host:port for messages of WebSockets        (127.0.0.1:0)
    --upstream <address>       where they get to; ws:// or wss:// if --listen is ws://
    --toxic <toxic>            [upstream:|downstream:]type=value,attribute=value; may be repeated
    --seed <number>            the same seed gives the same faults              (drawn, and printed)
    --api <address>            toxiproxy's control API                          (127.0.0.1:8474)
    -q, --quiet                no table

Toxics: ${Object.keys(toxicTypes).join(', ')}

  heddle chaos --listen 127.0.0.1:6380 --upstream 127.0.0.1:6379 --toxic latency=100,jitter=20
  heddle chaos --listen udp://127.0.0.1:5353 --upstream 127.0.0.53:53 --toxic upstream:loss=0.1
  heddle chaos --listen ws://127.0.0.1:8081 --upstream wss://example.com/feed --toxic loss=0.05
  heddle chaos proxies.yaml    seed: 7
                               proxies:
                                 - name: db
                                   listen: 127.0.0.1:5433
                                   upstream: 127.0.0.1:5432
                                   toxics: [{ type: slow_close, attributes: { delay: 500 } }]

Stops at SIGTERM and SIGINT. Exit codes: 0 stopped, 64 wrong arguments, 66 no such file,
69 an address is in use, 78 wrong file
`
