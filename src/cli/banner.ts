/** What a person sees after `heddle up`: what listens where, and what to try. */
import type { GatewayConfig } from '../gateway/config/schema/gateway.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Style } from './terminal.ts'

export function banner(gateway: Gateway, config: GatewayConfig, style: Style): string {
  const lines = [`${style.bold('heddle')} ${gateway.version} is up`, '']
  const urls: string[] = []
  for (const { name, address, transport, protocol } of gateway.listeners()) {
    const scheme = transport === 'tls' ? 'https' : 'http'
    const url = protocol === 'raw' ? address : `${scheme}://${address}`
    const shown = transport === 'unix' ? address : url
    if (protocol !== 'raw' && transport !== 'unix') urls.push(url)
    lines.push(
      `  ${name.padEnd(10)} ${style.cyan(shown)}${protocol === 'http' ? '' : ` (${protocol})`}`,
    )
  }
  const admin = gateway.adminAddress
  if (admin !== undefined)
    lines.push(`  ${'dashboard'.padEnd(10)} ${style.cyan(`http://${admin}/`)}`)
  const commands = config.demo ? tries(urls, config) : []
  if (commands.length > 0) lines.push('', style.dim('  try:'), ...commands)
  return `${lines.join('\n')}\n\n`
}

/** One for each cluster of the demo that a route leads to. */
function tries(urls: readonly string[], { routes }: GatewayConfig): string[] {
  const [first] = urls
  if (first === undefined) return []
  const secure = urls.find((url) => url.startsWith('https:'))
  const echo = secure === undefined ? `-d hi ${first}/echo` : `-k -d hi ${secure}/echo`
  const commands: readonly (readonly [cluster: string, command: string])[] = [
    ['demo-api', `curl ${first}/api/hello`],
    ['demo-flaky', `curl -i ${first}/flaky`],
    ['demo-echo', `curl ${echo}`],
  ]
  return commands
    .filter(([cluster]) => routes.some((route) => route.cluster === cluster))
    .map(([, command]) => `    ${command}`)
}
