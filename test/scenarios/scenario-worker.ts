/**
 * Runs scenarios in a thread of its own: the test runner watches every promise of its own thread,
 * which makes thousands of calls several times slower.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { HttpClientOptions } from '../../src/clients/http/http-client.ts'
import {
  FULL_STACK,
  NO_POLICIES,
  runScenario,
  type ScenarioOptions,
  type ScenarioRun,
} from './one-bad-upstream.ts'

const CLIENTS = {
  full: FULL_STACK,
  none: NO_POLICIES,
  budget: { timeoutMs: 1_000, hedge: true, breaker: false },
} as const satisfies Readonly<Record<string, HttpClientOptions>>

export interface ScenarioRequest extends Omit<ScenarioOptions, 'client'> {
  readonly client: keyof typeof CLIENTS
}

/** One after the other; each resolves as soon as it is there. */
export function runScenarios<Name extends string>(
  requests: Readonly<Record<Name, ScenarioRequest>>,
): Readonly<Record<Name, Promise<ScenarioRun>>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: requests })
  const runs = Object.keys(requests).map((name) => {
    const run = new Promise<ScenarioRun>((resolve, reject) => {
      worker.on('error', reject)
      worker.on('exit', () => reject(new Error(`${name}: the thread has ended`)))
      worker.on('message', (message: { name: string; run: ScenarioRun }) => {
        if (message.name === name) resolve(message.run)
      })
    })
    return [name, run] as const
  })
  worker.setMaxListeners(3 * runs.length)
  return Object.fromEntries(runs) as Record<Name, Promise<ScenarioRun>>
}

if (!isMainThread && parentPort !== null) {
  const requests = workerData as Readonly<Record<string, ScenarioRequest>>
  for (const [name, { client, ...options }] of Object.entries(requests)) {
    const run = await runScenario({ ...options, client: CLIENTS[client] })
    parentPort.postMessage({ name, run })
  }
}
