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
  const [first] = urls
  if (config.demo && first !== undefined) lines.push('', style.dim('  try:'), ...tries(urls))
  return `${lines.join('\n')}\n\n`
}

function tries(urls: readonly string[]): string[] {
  const [first] = urls
  const secure = urls.find((url) => url.startsWith('https:'))
  const lines = [`    curl ${first}/api/hello`, `    curl -i ${first}/flaky`]
  lines.push(
    secure === undefined ? `    curl -d hi ${first}/echo` : `    curl -k -d hi ${secure}/echo`,
  )
  return lines
}
