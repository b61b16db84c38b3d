/**
 * How a cluster chooses one of its endpoints, and who of them may be chosen. Envoy's words where it
 * has them.
 */
import { z } from 'zod'
import { count, duration, percent } from './primitives.ts'

export const LB_POLICIES = [
  'p2c',
  'least_request',
  'round_robin',
  'random',
  'ring_hash',
  'maglev',
] as const

export const lbPolicy = z
  .enum(LB_POLICIES)
  .default('p2c')
  .describe(
    'p2c: of two at random, the one with less latency and fewer requests in flight. ' +
      'least_request: of all, the one with the fewest requests in flight for its weight (envoy’s FULL_SCAN). ' +
      'ring_hash, maglev: the same key of hash_policy goes to the same endpoint',
  )

const hashKey = z
  .strictObject({
    header: z.string().min(1).max(256).optional().describe('Value of a request header'),
    cookie: z.string().min(1).max(256).optional().describe('Value of a cookie'),
    query_parameter: z.string().min(1).max(256).optional().describe('As written in the query'),
    path: z.literal(true).optional().describe('The path without the query'),
    source_ip: z.literal(true).optional().describe('The client’s address, after trusted hops'),
    principal: z.literal(true).optional().describe('Who authentication says that the client is'),
  })
  .refine((key) => Object.values(key).filter((value) => value !== undefined).length === 1, {
    error: 'a part of hash_policy names exactly one thing',
  })
  .describe('One thing that a key may come from')

export const hashPolicy = z
  .array(hashKey)
  .max(8)
  .default([])
  .describe(
    'For ring_hash and maglev: the first that a request has is its key; without one it goes anywhere',
  )

export const ringHash = z
  .strictObject({
    points_per_endpoint: count(1, 10_000)
      .default(160)
      .describe('Of average weight; shares differ by about one by the root of it'),
  })
  .describe('The ring of ring_hash')

export const maglev = z
  .strictObject({
    table_size: count(2, 5_000_011)
      .default(65_537)
      .describe('A prime, a hundred times the number of endpoints or more'),
  })
  .describe('The table of maglev')

export const hashBalanceFactor = count(100, 10_000)
  .optional()
  .describe(
    'For ring_hash and maglev: no endpoint has more than this percentage of the average of requests in flight; what is over goes to the next place. Default: no bound',
  )

export const slowStart = z
  .strictObject({
    window: duration(1).default('30s').describe('Until it has its full share'),
    min_weight_percent: count(1, 100).default(10).describe('The share it begins with'),
    aggression: z
      .number()
      .min(0.1)
      .max(100)
      .default(1)
      .describe('1 grows evenly; more grows faster at first'),
  })
  .describe('An endpoint that is new or returns gets a growing share')

export const outlierDetection = z
  .strictObject({
    consecutive_failures: count(1, 10_000).default(5).describe('In a row, before ejection'),
    interval: duration(1)
      .default('10s')
      .describe('How often success rates are compared, and one ejection is forgotten'),
    base_ejection_time: duration(1).default('30s').describe('Times the number of ejections so far'),
    max_ejection_time: duration(1).default('300s'),
    max_ejection_percent: percent()
      .default(50)
      .describe(
        'Never eject more of the endpoints than this; one may always be ejected if more remain',
      ),
    success_rate: z
      .strictObject({
        stdev_factor: z
          .number()
          .min(0)
          .max(100)
          .default(1.9)
          .describe('Out when below the mean by more standard deviations than this'),
        request_volume: count(1, 1_000_000)
          .default(100)
          .describe('Requests in the interval that an endpoint needs to be compared'),
        minimum_hosts: count(3, 4_096)
          .default(5)
          .describe('Endpoints with so many requests that a comparison needs'),
      })
      .prefault({})
      .describe('Take out an endpoint whose success rate is far below the others’'),
  })
  .describe('Passive health checks: take out an endpoint that fails real requests')

export const locality = z
  .strictObject({
    zone: z.string().min(1).max(256).describe('The zone of this gateway'),
    max_requests_per_endpoint: count(1, 1_000_000)
      .default(64)
      .describe('In flight in the own zone on average; what is over goes to other zones'),
  })
  .describe('Prefer endpoints of the own zone, as long as enough of them are well')

export const subset = z
  .strictObject({
    client: count(0, 999_999).describe('Number of this gateway among its siblings, from 0'),
    clients: count(1, 1_000_000).describe('How many siblings there are, itself included'),
    size: count(1, 4_096).default(20).describe('Endpoints that it uses at least'),
  })
  .describe('Use only some of many endpoints, so that all gateways together load them evenly')

export const panicThreshold = percent()
  .default(0)
  .describe(
    'Below this percentage of healthy endpoints of a priority all are used. 0: only when none is healthy',
  )

export const overprovisioningFactor = count(100, 10_000)
  .default(140)
  .describe(
    'In percent: with 140 a priority, or the own zone, carries everything while 72 % of it are healthy; the rest spills over',
  )

export type LbPolicy = (typeof LB_POLICIES)[number]
export type OutlierDetectionConfig = z.output<typeof outlierDetection>
export type HashKeyConfig = z.output<typeof hashKey>
