/**
 * Tables that are updated in place: rows are kept by key, a cell is touched only when its text
 * changes. So nothing flickers, focus and selection stay, and a screen reader is left in peace.
 *
 * On a narrow screen the style sheet turns each row into a card; that takes the table's meaning
 * away from assistive technology, so the roles are written out.
 */
import {
  formatCount,
  formatDateTime,
  formatDuration,
  formatMs,
  formatRate,
  formatShare,
  formatTime,
  UNKNOWN,
} from './format.js'

const ICONS = { ok: 'ok', bad: 'bad', warn: 'warn', half: 'half', none: 'none' }

/** @param columns `{ label, className?, render(cell, row) }` */
export class KeyedTable {
  #body
  #columns
  #rows = new Map()

  constructor(box, caption, columns) {
    this.#columns = columns
    const table = element('table', '', { role: 'table', 'aria-label': caption })
    const head = element('thead', '', { role: 'rowgroup' })
    const headRow = element('tr', '', { role: 'row' })
    for (const { label, className = '' } of columns) {
      const cell = element('th', className, { role: 'columnheader', scope: 'col' })
      cell.textContent = label
      headRow.append(cell)
    }
    head.append(headRow)
    this.#body = element('tbody', '', { role: 'rowgroup' })
    table.append(head, this.#body)
    box.append(table)
    this.table = table
  }

  update(rows, keyOf) {
    const seen = new Set()
    let previous
    for (const row of rows) {
      const key = uniqueKey(keyOf(row), seen)
      let kept = this.#rows.get(key)
      if (kept === undefined) {
        kept = this.#makeRow()
        this.#rows.set(key, kept)
      }
      const next = previous === undefined ? this.#body.firstChild : previous.nextSibling
      if (next !== kept.line) this.#body.insertBefore(kept.line, next)
      for (const [index, { render }] of this.#columns.entries()) render(kept.cells[index], row)
      previous = kept.line
    }
    for (const [key, { line }] of this.#rows) {
      if (seen.has(key)) continue
      line.remove()
      this.#rows.delete(key)
    }
  }

  #makeRow() {
    const line = element('tr', '', { role: 'row' })
    const cells = this.#columns.map(({ label, className = '' }) => {
      const cell = element('td', className, { role: 'cell', 'data-label': label })
      line.append(cell)
      return cell
    })
    return { line, cells }
  }
}

/** The clusters with their endpoints. */
export class ClusterList {
  #box
  #clusters = new Map()

  constructor(box) {
    this.#box = box
  }

  update(clusters, now) {
    for (const cluster of clusters) {
      let kept = this.#clusters.get(cluster.name)
      if (kept === undefined) {
        kept = makeCluster(cluster.name)
        this.#clusters.set(cluster.name, kept)
        this.#box.append(kept.section)
      }
      updateCluster(kept, cluster, now)
    }
    const names = new Set(clusters.map((cluster) => cluster.name))
    for (const [name, { section }] of this.#clusters) {
      if (names.has(name)) continue
      section.remove()
      this.#clusters.delete(name)
    }
  }
}

export function errorTable(box) {
  return new KeyedTable(box, 'Recent errors, newest first', [
    { label: 'Time', className: 'num', render: (cell, row) => renderTime(cell, row.time) },
    {
      label: 'Code',
      className: 'mono',
      render: (cell, { code, count }) => setText(cell, count === 1 ? code : `${code} ×${count}`),
    },
    { label: 'Where', render: (cell, row) => setText(cell, row.where) },
    { label: 'Route', render: (cell, row) => setText(cell, row.route ?? UNKNOWN) },
    {
      label: 'Upstream',
      className: 'mono',
      render: (cell, row) => setText(cell, row.upstream ?? UNKNOWN),
    },
    { label: 'Message', className: 'wide', render: (cell, row) => setText(cell, row.message) },
  ])
}

/**
 * An upstream that is down gives the same error again and again: what follows one another is one
 * row, with the newest message and the number of them. Newest first, as given.
 */
export function groupErrors(list) {
  const groups = []
  for (const error of list) {
    const group = groups.at(-1)
    const same = ['code', 'where', 'route'].every((name) => group?.[name] === error[name])
    // The oldest names the group, so that a row stays the same row while more come.
    const key = `${error.time} ${error.requestId} ${error.code}`
    if (same) {
      group.count++
      group.key = key
    } else groups.push({ ...error, count: 1, key })
  }
  return groups
}

export function limitTable(box) {
  const count = (label, read) => ({
    label,
    className: 'num',
    render: (cell, row) => setText(cell, read(row) === null ? UNKNOWN : formatCount(read(row))),
  })
  return new KeyedTable(box, 'Limits', [
    { label: 'Where', render: (cell, row) => setText(cell, row.name) },
    { label: 'What', render: (cell, row) => setText(cell, row.policy) },
    count('In flight', (row) => row.inFlight),
    count('Limit', (row) => row.limit),
    count('Waiting', (row) => row.queued),
    {
      label: 'Refused',
      className: 'num',
      render: (cell, row) => {
        setText(cell, formatCount(row.refused))
        cell.dataset.tone = row.refused > 0 ? 'warn' : 'none'
      },
    },
  ])
}

export function listenerTable(box) {
  return new KeyedTable(box, 'Listeners', [
    { label: 'Name', render: (cell, row) => setText(cell, row.name) },
    {
      label: 'Address',
      className: 'mono',
      render: (cell, row) => setText(cell, row.address),
    },
    {
      label: 'Speaks',
      render: (cell, row) => setText(cell, `${row.protocol} over ${row.transport}`),
    },
    {
      label: 'Open',
      className: 'num',
      render: (cell, row) => setText(cell, formatCount(row.openConnections)),
    },
    {
      label: 'Errors',
      className: 'num',
      render: (cell, row) => {
        setText(cell, formatCount(row.errors))
        cell.dataset.tone = row.errors > 0 ? 'warn' : 'none'
      },
    },
  ])
}

/** A badge says the same by colour, icon and word. */
export function setBadge(badge, tone, text, icon = tone) {
  setAttribute(badge, 'data-tone', tone)
  setAttribute(badge.querySelector('use'), 'href', `#icon-${ICONS[icon]}`)
  setText(badge.querySelector('span'), text)
}

export function makeBadge() {
  const badge = element('span', 'badge')
  const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  icon.setAttribute('class', 'icon')
  icon.setAttribute('aria-hidden', 'true')
  icon.append(document.createElementNS('http://www.w3.org/2000/svg', 'use'))
  badge.append(icon, element('span', ''))
  return badge
}

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text
}

export function setAttribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value)
}

export function element(name, className, attributes = {}) {
  const made = document.createElement(name)
  if (className !== '') made.className = className
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

function makeCluster(name) {
  const section = element('section', 'cluster', { 'aria-label': `Cluster ${name}` })
  const head = element('div', 'cluster-head')
  const title = element('h3', '')
  title.textContent = name
  const facts = element('p', 'cluster-facts')
  const sourceError = element('p', 'source-error', { role: 'status' })
  const budget = element('div', 'budget')
  const budgetLabel = element('span', '')
  const meter = element('meter', '', { min: 0, max: 1, low: 0.25, high: 0.5, optimum: 1 })
  budget.append(budgetLabel, meter)
  head.append(title, facts, budget)
  const box = element('div', 'rows')
  section.append(head, sourceError, box)
  return {
    section,
    facts,
    sourceError,
    budget,
    budgetLabel,
    meter,
    table: endpointTable(box, name),
  }
}

function updateCluster(kept, cluster, now) {
  const rate = `${formatRate(cluster.requestsPerSecond)} req/s`
  const success = cluster.successRate === null ? 'no calls yet' : formatShare(cluster.successRate)
  const parts = [cluster.source, cluster.balancer.replaceAll('_', ' '), rate, success]
  parts.push(`${formatCount(cluster.retries)} retries`)
  setText(kept.facts, parts.join(' · '))
  kept.sourceError.hidden = cluster.sourceError === null
  setText(
    kept.sourceError,
    cluster.sourceError === null ? '' : `Last known endpoints: ${cluster.sourceError}`,
  )
  kept.budget.hidden = cluster.retryBudget === null
  if (cluster.retryBudget !== null) {
    kept.meter.value = cluster.retryBudget
    setText(kept.budgetLabel, `Retry budget ${formatShare(cluster.retryBudget)}`)
    setAttribute(kept.meter, 'aria-label', `Retry budget of ${cluster.name}`)
  }
  const rows = cluster.endpoints.map((endpoint) => ({ ...endpoint, now }))
  kept.table.update(rows, (endpoint) => endpoint.address)
}

function endpointTable(box, cluster) {
  return new KeyedTable(box, `Endpoints of ${cluster}`, [
    { label: 'Endpoint', className: 'mono name', render: renderName },
    { label: 'Health', render: renderHealth },
    { label: 'Breaker', render: renderBreaker },
    {
      label: 'Req/s',
      className: 'num',
      render: (cell, row) => setText(cell, formatRate(row.requestsPerSecond)),
    },
    { label: 'Success', className: 'num', render: renderSuccess },
    {
      label: 'p50 / p99',
      className: 'num',
      render: (cell, { latency }) =>
        setText(
          cell,
          latency === null ? UNKNOWN : `${formatMs(latency.p50)} / ${formatMs(latency.p99)}`,
        ),
    },
    {
      label: 'In flight',
      className: 'num',
      render: (cell, row) => setText(cell, formatCount(row.inFlight)),
    },
    {
      label: 'Connections',
      className: 'num',
      render: (cell, { connections }) => {
        setText(cell, formatCount(connections.idle + connections.leased))
        cell.title = `${connections.leased} in use, ${connections.idle} idle`
      },
    },
  ])
}

function renderName(cell, row) {
  const name = row.hostname === null ? row.address : `${row.hostname} (${row.address})`
  setText(cell, name)
}

function renderHealth(cell, row) {
  const badge = cell.firstChild ?? cell.appendChild(makeBadge())
  if (row.ejected) {
    const left = row.ejectedForMs === null ? '' : ` ${formatDuration(row.ejectedForMs)}`
    setBadge(badge, 'warn', `ejected${left}`)
  } else if (row.health === 'unhealthy') setBadge(badge, 'bad', 'unhealthy')
  else if (row.health === 'healthy') setBadge(badge, 'ok', 'healthy')
  else setBadge(badge, 'none', 'not checked')
  cell.title = row.healthReason ?? ''
}

function renderBreaker(cell, row) {
  const badge = cell.firstChild ?? cell.appendChild(makeBadge())
  const since =
    row.stateSince === null || row.breaker === 'closed'
      ? ''
      : ` ${formatDuration(row.now - row.stateSince)}`
  if (row.breaker === 'open') setBadge(badge, 'bad', `open${since}`)
  else if (row.breaker === 'half-open') setBadge(badge, 'warn', `half-open${since}`, 'half')
  else setBadge(badge, 'ok', 'closed')
}

function renderSuccess(cell, row) {
  setText(cell, formatShare(row.successRate))
  cell.dataset.tone = toneOfShare(row.successRate)
}

function renderTime(cell, time) {
  setText(cell, formatTime(time))
  cell.title = formatDateTime(time)
}

export function toneOfShare(share) {
  if (share === null || share >= 0.99) return 'none'
  return share >= 0.9 ? 'warn' : 'bad'
}

/** Two errors may have the same time and text: the second gets another key. */
function uniqueKey(key, seen) {
  let unique = key
  for (let copy = 2; seen.has(unique); copy++) unique = `${key} ${copy}`
  seen.add(unique)
  return unique
}
