/**
 * Datagrams to an echo server and back, from sockets of `node:dgram`, `depth` under way on each. What
 * is lost is sent again after a while, and counts as an error.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import type { DatagramJob, LoadResult } from './jobs.ts'

export async function runDatagrams(job: DatagramJob): Promise<LoadResult> {
  const { port, connections, depth, messageBytes, milliseconds } = job
  const histogram = createHistogram()
  const payload = Buffer.alloc(messageBytes, 'x')
  const senders = await Promise.all(
    Array.from({ length: connections }, async () => new Sender(await open(port))),
  )
  let requests = 0
  let errors = 0
  let running = true
  for (const sender of senders) {
    sender.socket.on('message', (answer) => {
      if (!running) return
      if (answer.length !== messageBytes) errors += 1
      requests += 1
      const now = performance.now()
      histogram.record(Math.max(1, Math.round((now - sender.sentAt) * 1000)))
      sender.send(payload, now)
    })
    for (let sent = 0; sent < depth; sent++) sender.send(payload, performance.now())
  }
  const started = performance.now()
  const lost = setInterval(() => {
    for (const sender of senders) {
      if (performance.now() - sender.sentAt < LOST_MS) continue
      errors += depth
      for (let sent = 0; sent < depth; sent++) sender.send(payload, performance.now())
    }
  }, LOST_MS)
  await wait(milliseconds)
  running = false
  clearInterval(lost)
  const seconds = (performance.now() - started) / 1000
  for (const { socket } of senders) socket.close()
  return {
    requests,
    errors,
    seconds,
    p50Ms: histogram.percentile(50) / 1000,
    p99Ms: histogram.percentile(99) / 1000,
  }
}

class Sender {
  readonly socket: Socket
  sentAt = 0

  constructor(socket: Socket) {
    this.socket = socket
  }

  send(payload: Buffer, now: number): void {
    this.sentAt = now
    this.socket.send(payload)
  }
}

async function open(port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

const LOST_MS = 200
