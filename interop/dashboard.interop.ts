/**
 * The dashboard as a person gets it: `heddle up` with its demo upstreams, real traffic, and a real
 * browser that looks at the page. Screenshots stay in a temporary folder, whose name is printed.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, chromium, type Page } from 'playwright-core'
import { requirePeer } from './peers.ts'

const browserPeer = requirePeer('chromium')
const skip = browserPeer.skip

/** Chromium's own services must not disturb a test that counts requests. */
const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const WAIT_MS = 60_000

let gateway: Gateway
let browser: Browser
let page: Page
let folder: string
let stopLoad: () => Promise<void> = async () => {}
const complaints: string[] = []
const foreign: string[] = []

before(async () => {
  if (skip) return
  folder = await mkdtemp(join(tmpdir(), 'heddle-dashboard-'))
  gateway = await startGateway()
  browser = await chromium.launch({ executablePath: browserPeer.path, args: CHROMIUM_ARGUMENTS })
  page = await browser.newPage({ viewport: { width: 1440, height: 1000 } })
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('requestfailed', (one) => complaints.push(`${one.url()}: ${one.failure()?.errorText}`))
  page.on('request', (one) => {
    if (new URL(one.url()).origin !== new URL(gateway.adminUrl).origin) foreign.push(one.url())
  })
})

after(async () => {
  await stopLoad()
  await browser?.close()
  gateway?.process.kill('SIGKILL')
  if (folder !== undefined) console.log(`screenshots: ${folder}`)
})

test('dashboard says what to do before there is traffic', { skip }, async () => {
  const response = await page.goto(gateway.adminUrl)
  assert.equal(response?.status(), 200)
  await page.waitForSelector('#live[data-state=live]', { timeout: WAIT_MS })
  assert.equal(await page.textContent('#phase-text'), 'ready')
  assert.equal(await page.textContent('#empty-traffic code'), `curl ${gateway.httpUrl}/`)
  assert.ok(await page.isVisible('#empty-errors'))
  await shoot('empty-1440')
})

test('dashboard values change under load and agree with the metrics', { skip }, async () => {
  stopLoad = startLoad(gateway.httpUrl)
  await until(async () => numberOf(await page.textContent('#tile-rate')) > 10)
  assert.ok(await page.isHidden('#empty-traffic'))
  const before = await readPage()
  await delay(2_500)
  const after = await readPage()
  assert.notEqual(after.rateLine, before.rateLine, 'the traffic chart moves')
  assert.notEqual(after.latencyLine, before.latencyLine, 'the latency chart moves')
  assert.ok(after.requests > before.requests, `${before.requests} then ${after.requests} requests`)
  assert.match(after.p99 ?? '', /^\d.*\s(ms|s)$/)
  const metrics = await (await fetch(`${gateway.adminUrl}metrics`)).text()
  const counts = metrics.matchAll(/^http_server_request_duration_seconds_count\{.*\} (\d+)$/gm)
  const counted = [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
  assert.ok(counted >= after.requests, `metrics ${counted}, page ${after.requests}`)
})

test('dashboard shows the breaker of the failing demo upstream', { skip }, async () => {
  const badge = page.locator('#clusters .badge[data-tone=bad]', { hasText: /^open/ })
  await badge.first().waitFor({ timeout: WAIT_MS })
  await shoot('breaker-1440')
  await page.waitForSelector('#errors tbody tr', { timeout: WAIT_MS })
})

test('dashboard fits 360 and 1440 pixels, in light and dark', { skip }, async () => {
  for (const width of [360, 1_440]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 1_000 })
      await delay(1_200) // one more tick is drawn at this size
      const overflow = await page.evaluate<number>(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      )
      assert.equal(overflow, 0, `${width} px, ${colorScheme}`)
      await shoot(`load-${width}-${colorScheme}`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
})

test('dashboard works by keyboard and asks before it drains', { skip }, async () => {
  await page.focus('#chart-latency svg')
  await page.keyboard.press('ArrowLeft')
  assert.ok(await page.isVisible('#chart-latency .tip'))
  await page.keyboard.press('Escape')
  assert.ok(await page.isHidden('#chart-latency .tip'))
  await page.focus('#drain')
  await page.keyboard.press('Enter')
  assert.ok(await page.isVisible('#drain-dialog'))
  await shoot('dialog-1440')
  await page.keyboard.press('Escape')
  assert.ok(await page.isHidden('#drain-dialog'))
  assert.equal((await fetch(`${gateway.adminUrl}readyz`)).status, 200)
})

test('dashboard loaded nothing from elsewhere and complained about nothing', { skip }, () => {
  assert.deepEqual(foreign, [])
  assert.deepEqual(complaints, [])
})

test('admin refuses what a page of another site would send', { skip }, async () => {
  const post = await fetch(`${gateway.adminUrl}drain`, {
    method: 'POST',
    headers: { origin: 'http://evil.example' },
  })
  assert.equal(post.status, 403)
  assert.equal(await statusWithHost('evil.example'), 403)
  assert.equal(await statusWithHost('localhost'), 200)
})

test('dashboard drains the gateway, which exits with 0, and says that it is gone', {
  skip,
}, async () => {
  await stopLoad()
  const exited = once(gateway.process, 'exit')
  await page.click('#drain')
  await page.click('#drain-dialog button[value=drain]')
  const [code] = await exited
  assert.equal(code, 0)
  await page.waitForSelector('#banner-stale:not([hidden])', { timeout: WAIT_MS })
  await shoot('gone-1440')
})

interface Gateway {
  readonly process: ChildProcess
  /** With a slash at the end. */
  readonly adminUrl: string
  readonly httpUrl: string
}

/** The demo upstreams on free ports. */
const CONFIGURATION = `
demo: true
admin: { address: '127.0.0.1:0' }
listeners: [{ name: http, address: '127.0.0.1:0' }]
routes:
  - { name: api, match: { prefix: /api }, cluster: demo-api }
  - { name: echo, match: { prefix: /echo }, cluster: demo-echo }
  - { name: flaky, match: { path: /flaky }, cluster: demo-flaky }
  - { name: welcome, match: { path: / }, fixed_response: { body: hello } }
`

async function startGateway(): Promise<Gateway> {
  const main = join(import.meta.dirname, '../src/cli/main.ts')
  const file = join(folder, 'gateway.yaml')
  await writeFile(file, CONFIGURATION)
  const child = spawn(process.execPath, [main, 'up', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  })
  let output = ''
  return await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`heddle up ended with ${code}:\n${output}`)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const adminUrl = /dashboard\s+(http:\S+)/.exec(output)?.[1]
      const httpUrl = /^\s*http\s+(http:\S+)/m.exec(output)?.[1]
      if (adminUrl === undefined || httpUrl === undefined) return
      resolve({ process: child, adminUrl, httpUrl })
    })
  })
}

/** Sixteen clients that ask for this and that, until stopped. */
function startLoad(url: string): () => Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const paths = ['/api/hello', '/api/users/7', '/flaky', '/echo', '/', '/nothing-here']
  let running = true
  const client = async (first: number): Promise<void> => {
    for (let index = first; running; index++) {
      await get(`${url}${paths[index % paths.length]}`, agent).catch(() => undefined)
      await delay(10)
    }
  }
  const clients = Promise.all(Array.from({ length: 16 }, (_, index) => client(index)))
  return async () => {
    running = false
    await clients
    agent.destroy()
  }
}

function get(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (response) => {
      response.on('error', reject)
      response.on('end', resolve)
      response.resume()
    })
    sent.on('error', reject)
    sent.end()
  })
}

function statusWithHost(host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(`${gateway.adminUrl}clusters`, { headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function readPage(): Promise<{
  rateLine: string | null
  latencyLine: string | null
  requests: number
  p99: string | null
}> {
  const line = (chart: string): Promise<string | null> =>
    page.locator(`#${chart} path.line`).last().getAttribute('d')
  const row = page.locator('#details div', { hasText: 'Requests since start' })
  return {
    rateLine: await line('chart-traffic'),
    latencyLine: await line('chart-latency'),
    requests: numberOf(await row.locator('dd').textContent()),
    p99: await page.textContent('#tile-p99'),
  }
}

function numberOf(text: string | null): number {
  return Number(text?.replace(/\D/g, ''))
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS
  while (!(await condition())) {
    assert.ok(performance.now() < end, `nothing after ${WAIT_MS} ms`)
    await delay(100)
  }
}

async function shoot(name: string): Promise<void> {
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}
