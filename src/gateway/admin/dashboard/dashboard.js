/**
 * The page: takes the event stream of the admin service and shows it.
 *
 *     snapshot event → everything, with history       tick event → everything, with new points
 *
 * While the page is hidden it holds no stream. When the stream breaks it keeps what it knows, says
 * since when it is old, and tries again.
 */
import { TimeChart } from './chart.js'
import {
  formatAxisCount,
  formatAxisMs,
  formatBytes,
  formatCount,
  formatDateTime,
  formatDuration,
  formatMs,
  formatRate,
  formatShare,
  formatTime,
  plural,
} from './format.js'
import {
  ClusterList,
  element,
  errorTable,
  groupErrors,
  limitTable,
  listenerTable,
  setAttribute,
  setBadge,
  setText,
  toneOfShare,
} from './tables.js'

const MAX_POINTS = 300
/** Ticks come each second: three that are missing are no jitter. */
const STALE_AFTER_MS = 3_500
const RECONNECT_MS = 2_000
/** Shown before somebody asks for more: the page is read on phones. */
const FEW_ERRORS = 8
const COLUMNS = [
  'requests',
  'clientErrors',
  'serverErrors',
  'p50',
  'p90',
  'p99',
  'connections',
  'active',
  'retries',
]
const PHASES = {
  starting: ['warn', 'Starting.', 'Not every listener is bound yet.'],
  ready: ['ok'],
  draining: ['warn', 'Draining.', ''],
  stopped: ['bad', 'Stopped.', 'Everything in progress has ended.'],
}

const byId = (id) => document.getElementById(id)

const traffic = new TimeChart(
  byId('chart-traffic'),
  [
    { key: 'serverErrors', label: 'failed', tone: 'bad', stack: true },
    { key: 'clientErrors', label: '4xx', tone: 'warn', stack: true },
    { key: 'others', label: '1xx–3xx', tone: 'accent', stack: true },
  ],
  { title: 'Requests per second', format: formatRate, axis: formatAxisCount, minTop: 4 },
)
const latency = new TimeChart(
  byId('chart-latency'),
  [
    { key: 'p99', label: 'p99', tone: 'p99', area: true },
    { key: 'p90', label: 'p90', tone: 'p90' },
    { key: 'p50', label: 'p50', tone: 'p50' },
  ],
  { title: 'Latency', format: formatMs, axis: formatAxisMs, minTop: 1 },
)
const clusters = new ClusterList(byId('clusters'))
const errors = errorTable(byId('errors'))
const listeners = listenerTable(byId('listeners'))
const limits = limitTable(byId('limits'))

let history = emptyHistory()
let latest
let source
let lastEventAt = 0
let retryTimer
let allErrors = false
/** Somebody drained the gateway from this page: that it goes away is no accident. */
let drained = false

function connect() {
  clearTimeout(retryTimer)
  source?.close()
  source = new EventSource('api/events')
  source.addEventListener('snapshot', (event) => {
    history = emptyHistory()
    drained = false
    receive(JSON.parse(event.data))
  })
  source.addEventListener('tick', (event) => receive(JSON.parse(event.data)))
  // After a refusal (all streams taken, gateway gone) the browser does not try again by itself.
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) retryTimer = setTimeout(connect, RECONNECT_MS)
    showConnection()
  })
}

function receive(snapshot) {
  lastEventAt = performance.now()
  latest = snapshot
  for (const name of COLUMNS) {
    const column = history[name]
    column.push(...snapshot.history[name])
    if (column.length > MAX_POINTS) column.splice(0, column.length - MAX_POINTS)
  }
  show()
}

function show() {
  showConnection()
  showHeader()
  showTiles()
  showCharts()
  clusters.update(latest.clusters, latest.now)
  byId('empty-clusters').hidden = latest.clusters.length > 0
  showErrors()
  showResponses()
  listeners.update(latest.listeners, (listener) => listener.name)
  limits.update(latest.limits, (limit) => `${limit.policy} ${limit.name}`)
  byId('limits-card').hidden = latest.limits.length === 0
  byId('empty-listeners').hidden = latest.listeners.length > 0
  listeners.table.hidden = latest.listeners.length === 0
  showDetails()
}

function showConnection() {
  const age = performance.now() - lastEventAt
  const known = lastEventAt > 0
  const stale = known ? age > STALE_AFTER_MS : performance.now() > STALE_AFTER_MS
  const state = stale ? 'stale' : known ? 'live' : 'connecting'
  const live = byId('live')
  if (live.dataset.state !== state) {
    if (state === 'stale') announce('Connection to the gateway lost')
    if (state === 'live' && live.dataset.state === 'stale') announce('Connected again')
    live.dataset.state = state
    document.body.dataset.connection = state
    setText(byId('live-text'), { stale: 'Offline', live: 'Live', connecting: 'Connecting' }[state])
    byId('banner-stale').hidden = state !== 'stale'
  }
  if (stale) {
    const seen = known ? `What you see is ${formatDuration(age)} old.` : 'Nothing was received yet.'
    const why = drained ? 'It was drained from here, and has probably ended.' : 'Trying again.'
    setText(byId('stale-text'), `${seen} ${why}`)
  }
  const can = state === 'live' && latest?.phase === 'ready'
  byId('reload').disabled = !can
  byId('drain').disabled = !can
}

function showHeader() {
  const [tone, title, detail] = PHASES[latest.phase]
  setBadge(byId('phase'), tone, latest.phase)
  setText(byId('fact-uptime'), formatDuration(latest.uptimeMs))
  setText(byId('fact-version'), latest.version)
  setText(byId('fact-config'), `v${latest.config.version}`)
  setText(byId('updated'), `Updated ${formatTime(latest.now)}`)
  const banner = byId('banner-phase')
  banner.hidden = title === undefined
  if (title !== undefined) {
    const { activeRequests, openConnections } = latest.totals
    const left = `${plural(activeRequests, 'request')} and ${plural(openConnections, 'connection')} left.`
    setText(byId('phase-title'), title)
    setText(byId('phase-detail'), latest.phase === 'draining' ? left : detail)
  }
  const { lastError, version, loadedAt } = latest.config
  byId('banner-config').hidden = lastError === null
  if (lastError !== null) {
    setText(byId('config-error'), lastError)
    const since = formatDateTime(loadedAt)
    setText(byId('config-detail'), `Version ${version}, loaded ${since}, keeps running.`)
  }
}

function showTiles() {
  const { totals } = latest
  setText(byId('tile-rate'), formatRate(history.requests.at(-1) ?? 0))
  setText(byId('tile-rate-note'), `10 s mean ${formatRate(latest.requestsPerSecond)}`)

  const requests = sumOfMinute('requests')
  const failed = sumOfMinute('serverErrors')
  const success = requests === 0 ? null : 1 - failed / requests
  setText(byId('tile-success'), formatShare(success))
  const refused = sumOfMinute('clientErrors')
  const failures = `${formatCount(failed)} × 5xx, ${formatCount(refused)} × 4xx`
  setText(byId('tile-success-note'), requests === 0 ? 'no requests' : failures)
  byId('tile-success-box').dataset.tone = toneOfShare(success)

  const { p50, p99 } = latest.latency
  setText(byId('tile-p99'), formatMs(p99))
  setText(byId('tile-p99-note'), `p50 ${formatMs(p50)}`)

  setText(byId('tile-connections'), formatCount(totals.openConnections))
  const active = plural(totals.activeRequests, 'request')
  setText(byId('tile-connections-note'), `${active} active`)

  showUpstreamTile()
  showRetryTile()
}

function showUpstreamTile() {
  const endpoints = latest.clusters.flatMap((cluster) => cluster.endpoints)
  const count = (states) => endpoints.filter(({ state }) => states.includes(state)).length
  const open = count(['breaker-open'])
  const out = count(['ejected', 'unhealthy'])
  const trying = count(['breaker-half-open'])
  setText(byId('tile-upstreams'), `${endpoints.length - open - out} of ${endpoints.length}`)
  const notes = []
  if (open > 0) notes.push(plural(open, 'breaker open', 'breakers open'))
  if (out > 0) notes.push(`${out} out`)
  if (trying > 0) notes.push(`${trying} on trial`)
  const good = endpoints.length === 0 ? 'none configured' : 'none down'
  setText(byId('tile-upstreams-note'), notes.length === 0 ? good : notes.join(', '))
  byId('tile-upstreams-box').dataset.tone = open + out > 0 ? 'bad' : trying > 0 ? 'warn' : 'none'
}

function showRetryTile() {
  const budgets = latest.clusters.map((one) => one.retryBudget).filter((one) => one !== null)
  const lowest = budgets.length === 0 ? null : Math.min(...budgets)
  setText(byId('tile-retries'), formatCount(sumOfMinute('retries')))
  const note = lowest === null ? 'no retry budget' : `lowest budget ${formatShare(lowest)}`
  setText(byId('tile-retries-note'), note)
  byId('tile-retries-box').dataset.tone = lowest !== null && lowest < 0.25 ? 'warn' : 'none'
}

function showCharts() {
  const others = history.requests.map((all, index) =>
    Math.max(0, all - history.clientErrors[index] - history.serverErrors[index]),
  )
  traffic.update({ columns: { ...history, others }, end: latest.history.end })
  latency.update({ columns: history, end: latest.history.end })
  showLegend('legend-traffic', [
    ['accent', '1xx–3xx', formatRate(others.at(-1) ?? 0)],
    ['warn', '4xx', formatRate(history.clientErrors.at(-1) ?? 0)],
    ['bad', 'failed', formatRate(history.serverErrors.at(-1) ?? 0)],
  ])
  showLegend('legend-latency', [
    ['p50', 'p50', formatMs(history.p50.at(-1))],
    ['p90', 'p90', formatMs(history.p90.at(-1))],
    ['p99', 'p99', formatMs(history.p99.at(-1))],
  ])
  const silent = history.requests.every((count) => count === 0)
  byId('empty-latency').hidden = !silent
  byId('empty-traffic').hidden = !silent
  if (silent) setText(byId('empty-traffic').querySelector('code'), suggestion())
}

function showLegend(id, entries) {
  const list = byId(id)
  for (const [index, [tone, name, value]] of entries.entries()) {
    let item = list.children[index]
    if (item === undefined) {
      item = element('li', '')
      item.append(element('span', `swatch tone-${tone}`), element('span', ''), element('b', ''))
      list.append(item)
    }
    setText(item.children[1], name)
    setText(item.children[2], value)
  }
}

/** A command that works here: the first HTTP listener's address. */
function suggestion() {
  const speaks = (protocol) => protocol === 'http' || protocol === 'detect'
  const candidates = latest.listeners.filter(({ protocol }) => speaks(protocol))
  const listener = candidates.find(({ transport }) => transport === 'tcp') ?? candidates[0]
  if (listener === undefined) return 'curl http://127.0.0.1:8080/'
  const { address, transport } = listener
  if (transport === 'unix')
    return `curl --unix-socket ${address.replace(/^unix:/, '')} http://localhost/`
  const reachable = address.replace(/^(0\.0\.0\.0|\[::\])/, '127.0.0.1')
  return transport === 'tls' ? `curl -k https://${reachable}/` : `curl http://${reachable}/`
}

function showErrors() {
  const groups = groupErrors(latest.errors)
  const shown = allErrors ? groups : groups.slice(0, FEW_ERRORS)
  errors.update(shown, (group) => group.key)
  errors.table.hidden = groups.length === 0
  byId('empty-errors').hidden = groups.length > 0
  const more = byId('more-errors')
  more.hidden = groups.length <= FEW_ERRORS
  setText(more, allErrors ? 'Show fewer' : `Show all ${groups.length}`)
  setAttribute(more, 'aria-expanded', String(allErrors))
}

function showResponses() {
  const [none, ...classes] = latest.totals.statusClasses
  const rows = [
    ['ok', '2xx', classes[1]],
    ['accent', '1xx, 3xx', classes[0] + classes[2]],
    ['warn', '4xx', classes[3]],
    ['bad', '5xx', classes[4]],
    ['muted', 'no answer', none],
  ]
  const total = rows.reduce((sum, [, , count]) => sum + count, 0)
  const share = byId('share')
  const legend = byId('share-legend')
  for (const [index, [tone, name, count]] of rows.entries()) {
    let bar = share.children[index]
    let item = legend.children[index]
    if (bar === undefined) {
      bar = element('span', `tone-${tone}`)
      share.append(bar)
      item = element('li', '')
      item.append(
        element('span', `swatch tone-${tone}`),
        element('span', ''),
        element('b', ''),
        element('span', 'part'),
      )
      legend.append(item)
    }
    bar.style.flexGrow = count
    bar.hidden = count === 0
    setText(item.children[1], name)
    setText(item.children[2], formatCount(count))
    setText(item.children[3], total === 0 ? '' : formatShare(count / total))
  }
  const text = rows.map(([, name, count]) => `${name} ${formatCount(count)}`).join(', ')
  setAttribute(share, 'aria-label', total === 0 ? 'No responses yet' : text)
}

function showDetails() {
  const { config, process, totals, startedAt } = latest
  const rows = [
    ['Configuration', config.file ?? 'built in'],
    ['Loaded', `${formatDateTime(config.loadedAt)}, version ${config.version}`],
    ['Started', formatDateTime(startedAt)],
    ['Connections since start', formatCount(totals.totalConnections)],
    ['Requests since start', formatCount(totals.requests)],
    ['Given up by clients', formatCount(totals.clientAborts)],
  ]
  if (process !== null) {
    rows.push(['CPU', `${formatShare(process.cpu)} of a core`])
    rows.push(['Event loop busy', formatShare(process.loop)])
    const memory = `${formatBytes(process.residentBytes)}, heap ${formatBytes(process.heapUsedBytes)}`
    rows.push(['Memory', memory])
  }
  const list = byId('details')
  while (list.children.length > rows.length) list.lastChild.remove()
  for (const [index, [name, value]] of rows.entries()) {
    let row = list.children[index]
    if (row === undefined) {
      row = element('div', '')
      row.append(element('dt', ''), element('dd', ''))
      list.append(row)
    }
    setText(row.children[0], name)
    setText(row.children[1], value)
  }
}

function sumOfMinute(column) {
  return history[column].slice(-60).reduce((sum, value) => sum + value, 0)
}

function emptyHistory() {
  return Object.fromEntries(COLUMNS.map((name) => [name, []]))
}

let toastTimer
/** Said aloud by screen readers, shown for some seconds. */
function announce(text, tone = 'none') {
  const toast = byId('toast')
  toast.dataset.tone = tone
  toast.dataset.shown = 'true'
  toast.textContent = text
  clearTimeout(toastTimer)
  toastTimer = setTimeout(() => {
    toast.dataset.shown = 'false'
  }, 6_000)
}

async function change(path) {
  const response = await fetch(path, { method: 'POST' })
  const answer = await response.json().catch(() => ({}))
  return { ok: response.ok, answer }
}

async function reload() {
  byId('reload').disabled = true
  try {
    const { answer } = await change('reload')
    if (answer.status === 'applied') {
      const changes = answer.changes.length === 0 ? '' : `: ${answer.changes.join(', ')}`
      announce(`Configuration version ${answer.version} applied${changes}`, 'ok')
    } else if (answer.status === 'unchanged') announce('The configuration has not changed')
    else announce(`Not applied: ${(answer.problems ?? [answer.error]).join('; ')}`, 'bad')
  } catch (error) {
    announce(`Reload failed: ${error.message}`, 'bad')
  }
  showConnection()
}

async function drain() {
  try {
    const { ok, answer } = await change('drain')
    drained = ok
    announce(ok ? 'Draining has begun' : `Not drained: ${answer.error}`, ok ? 'ok' : 'bad')
  } catch (error) {
    announce(`Drain failed: ${error.message}`, 'bad')
  }
}

byId('more-errors').addEventListener('click', () => {
  allErrors = !allErrors
  showErrors()
})
byId('reload').addEventListener('click', reload)
byId('reconnect').addEventListener('click', connect)
byId('drain').addEventListener('click', () => {
  const { activeRequests, openConnections } = latest.totals
  const now = `${plural(activeRequests, 'request')} in progress, ${plural(openConnections, 'connection')} open.`
  setText(byId('drain-facts'), `Now: ${now}`)
  byId('drain-dialog').returnValue = ''
  byId('drain-dialog').showModal()
})
byId('drain-dialog').addEventListener('close', () => {
  if (byId('drain-dialog').returnValue === 'drain') drain()
})
for (const input of document.querySelectorAll('input[name=range]')) {
  input.addEventListener('change', () => {
    traffic.seconds = Number(input.value)
    latency.seconds = Number(input.value)
  })
}
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    clearTimeout(retryTimer)
    source?.close()
  } else {
    lastEventAt = lastEventAt > 0 ? performance.now() : 0
    connect()
  }
})
setInterval(showConnection, 1_000)
connect()
