/**
 * A page in a headless Chromium, served by heddle together with the bundles that it imports. Further
 * suites give it their own script: a module that may import `/bundles/<subpath>.js`.
 */
import { type Browser, chromium, type Page } from 'playwright-core'
import { BUNDLES, bundle } from '../../scripts/bundle.ts'
import { type HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'

/** Chromium's own services must not disturb a test. */
const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** What a server answers for pages and bundles; undefined: something else was asked for. */
export async function pageResponse(
  request: HttpRequest,
  script: string,
): Promise<HttpResponse | undefined> {
  if (request.path === '/') {
    const body = `<!doctype html><title>heddle</title><pre id="log"></pre><script type="module">${script}</script>`
    return new HttpResponse({ fields: { 'content-type': 'text/html; charset=utf-8' }, body })
  }
  if (request.path === '/favicon.ico') return new HttpResponse({ status: 204 })
  const found = BUNDLES.find(({ subpath }) => request.path === `/bundles/${subpath}.js`)
  if (found === undefined) return undefined
  const body = Buffer.from(await bundle(found))
  return new HttpResponse({ fields: { 'content-type': 'text/javascript' }, body })
}

export interface OpenPage {
  readonly browser: Browser
  readonly page: Page
  /** Errors and warnings that the page had. */
  readonly complaints: string[]
}

export async function openPage(executablePath: string, url: string): Promise<OpenPage> {
  const browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGUMENTS })
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(url)
  return { browser, page, complaints }
}
