/**
 * `routes`: which request goes where, and what is changed on the way.
 *
 * The first matching route of the most specific host wins; docs/gateway.md has the order.
 */
import { z } from 'zod'
import { authentication, authorization } from './access.ts'
import { aggregate } from './aggregate.ts'
import { cache } from './cache.ts'
import { bulkhead, concurrency, routeRateLimit } from './load.ts'
import {
  cidr,
  count,
  duration,
  fileName,
  headerName,
  headerValue,
  hostPattern,
  methodName,
  name,
  percent,
  port,
  show,
  size,
  urlPath,
} from './primitives.ts'
import { transcode } from './transcode.ts'

const GRPC_NAME = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,31}$/

const headerMatch = z
  .strictObject({
    name: headerName(),
    exact: z.string().optional(),
    prefix: z.string().optional(),
    contains: z.string().optional(),
    present: z.boolean().optional().describe('true: must be there; false: must not'),
  })
  .refine(
    (match) =>
      [match.exact, match.prefix, match.contains, match.present].filter((one) => one !== undefined)
        .length === 1,
    'a header match has exactly one of exact, prefix, contains, present',
  )

const grpcMatch = z
  .strictObject({
    service: z
      .string()
      .regex(GRPC_NAME, {
        error: (issue) => `${show(issue.input)}: a service is named as package.Service`,
      })
      .describe('With its package, as shop.v1.Orders'),
    method: z
      .string()
      .regex(/^[A-Za-z_]\w{0,126}$/, {
        error: (issue) => `${show(issue.input)} is not the name of a method`,
      })
      .optional()
      .describe('Default all of the service'),
  })
  .describe('Calls of gRPC, gRPC-Web and Connect, which name them in the path')

const routeMatch = z
  .strictObject({
    hosts: z.array(hostPattern()).min(1).optional().describe('a.example, *.example or *'),
    path: urlPath().optional().describe('The whole path, exactly'),
    prefix: urlPath().optional().describe('The path or a part of it up to a slash: /api, /api/'),
    pattern: urlPath()
      .optional()
      .describe('Segments: :name is any one, a final * the rest, as in /users/:id/*'),
    grpc: grpcMatch.optional(),
    methods: z.array(methodName()).min(1).optional(),
    headers: z.array(headerMatch).max(16).optional().describe('All of them must match'),
    source: z.array(cidr()).min(1).optional().describe('Client addresses, after trusted hops'),
  })
  .refine(
    (match) =>
      [match.path, match.prefix, match.pattern, match.grpc].filter((one) => one !== undefined)
        .length <= 1,
    'a match has at most one of path, prefix, pattern, grpc',
  )

const weightedCluster = z.strictObject({
  name: name().describe('A cluster'),
  weight: count(0, 1_000_000),
})

const redirect = z
  .strictObject({
    scheme: z.enum(['http', 'https']).optional(),
    host: z.string().optional(),
    port: port().optional(),
    path: urlPath().optional().describe('Replaces the whole path'),
    prefix_rewrite: urlPath().optional().describe('Replaces the matched prefix'),
    status: z
      .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
      .default(308),
    strip_query: z.boolean().default(false),
  })
  .describe('Answer with a redirect')

const fixedResponse = z
  .strictObject({
    status: count(200, 599).default(200),
    body: z.string().optional(),
    body_file: fileName().optional().describe('Read when the configuration is loaded'),
    content_type: headerValue().optional().describe('Default text/plain; charset=utf-8'),
  })
  .refine(
    (response) => response.body === undefined || response.body_file === undefined,
    'a fixed response has at most one of body, body_file',
  )
  .describe('Answer without an upstream')

const rewrite = z
  .strictObject({
    prefix: urlPath().optional().describe('Replaces the matched prefix, or the matched path'),
    path: urlPath()
      .optional()
      .describe(
        'Replaces the whole path; :name inserts what a pattern matched, a final * the rest',
      ),
    host: z.string().optional().describe('Host sent upstream; default the client’s'),
  })
  .refine(
    (value) => value.prefix === undefined || value.path === undefined,
    'a rewrite has at most one of prefix, path',
  )
  .describe('What the upstream sees instead')

export const headerEdits = z
  .strictObject({
    set: z.record(headerName(), headerValue()).optional().describe('Replaces, or adds'),
    add: z.record(headerName(), headerValue()).optional().describe('Adds another field'),
    remove: z.array(headerName()).optional(),
    set_from_file: z
      .record(headerName(), fileName())
      .optional()
      .describe('As set, the value read from a file when the configuration is loaded: secrets'),
  })
  .describe('Changes to header fields, in the order remove, set, add')

const mirror = z
  .strictObject({
    cluster: name().describe('Gets copies; its answers are dropped'),
    percent: percent().default(100).describe('Of the requests'),
    max_body: size(0, 64 * 1024 * 1024)
      .default('64KiB')
      .describe('Requests with a longer body are not mirrored: the copy is held in memory'),
  })
  .describe('Send copies of requests to another cluster')

const grpcWebCors = z
  .strictObject({
    origins: z
      .array(z.string().min(1))
      .min(1)
      .describe('https://app.example, as browsers write it; * alone is any'),
    credentials: z.boolean().default(false).describe('Cookies and client certificates; not with *'),
    allow_headers: z
      .array(headerName())
      .max(64)
      .default([])
      .describe('Further ones pages may send'),
    expose_headers: z
      .array(headerName())
      .max(64)
      .default([])
      .describe('Further ones they may read'),
    max_age: duration(0).default('2h').describe('How long a browser may keep that'),
  })
  .describe('Pages of other origins that may call; preflights are answered before authentication')

export const route = z
  .strictObject({
    name: name().optional().describe('For logs and metrics; default route-<number>'),
    match: routeMatch.prefault({}).describe('Everything named must match; {} matches all'),
    cluster: name().optional().describe('Send to this cluster'),
    weighted_clusters: z
      .array(weightedCluster)
      .min(1)
      .max(64)
      .optional()
      .describe('Split by weight'),
    aggregate: aggregate.optional(),
    redirect: redirect.optional(),
    fixed_response: fixedResponse.optional(),
    rewrite: rewrite.optional(),
    request_headers: headerEdits.optional(),
    response_headers: headerEdits.optional(),
    mirror: mirror.optional(),
    authentication: authentication.optional().describe('Instead of the listener’s'),
    authorization: authorization.optional().describe('Instead of the listener’s'),
    timeout: duration(0).default('15s').describe('Of the whole call, retries included; 0s: none'),
    max_request_body: size(0).optional().describe('A longer one is answered 413'),
    priority: count(0, 7)
      .default(3)
      .describe('Of its requests where a queue is full: 0 is shed last, 7 first'),
    rate_limits: z.array(routeRateLimit).max(8).default([]).describe('All of them hold'),
    concurrency: concurrency.optional(),
    bulkhead: bulkhead.optional(),
    cache: cache.optional(),
    transcode: transcode.optional(),
    grpc_web: z
      .boolean()
      .default(false)
      .describe('Answer gRPC-Web: browsers’ calls go to the cluster as gRPC'),
    grpc_web_cors: grpcWebCors.optional(),
    upgrades: z.boolean().default(true).describe('Pass WebSocket and other upgrades through'),
  })
  .refine(
    (value) =>
      [
        value.cluster,
        value.weighted_clusters,
        value.aggregate,
        value.redirect,
        value.fixed_response,
      ].filter((one) => one !== undefined).length === 1,
    'a route has exactly one of cluster, weighted_clusters, aggregate, redirect, fixed_response',
  )
  .refine(
    (value) =>
      value.transcode === undefined ||
      (value.redirect === undefined && value.fixed_response === undefined),
    'transcode is for a route with a cluster',
  )

export const rawRoute = z
  .strictObject({
    name: name().optional(),
    match: z
      .strictObject({
        sni: z
          .array(hostPattern())
          .min(1)
          .optional()
          .describe('Server name in the TLS hello; the TLS passes through untouched'),
        alpn: z.array(z.string().min(1)).min(1).optional().describe('One of them is offered'),
      })
      .prefault({}),
    cluster: name(),
    idle_timeout: duration(0).default('1h').describe('Close when neither side sends; 0s: never'),
  })
  .describe('Layer 4: the bytes of a connection go to an endpoint as they are')

export type RouteConfig = z.output<typeof route>
export type RouteMatchConfig = z.output<typeof routeMatch>
export type RawRouteConfig = z.output<typeof rawRoute>
export type HeaderEditsConfig = z.output<typeof headerEdits>
export type RedirectConfig = z.output<typeof redirect>
export type FixedResponseConfig = z.output<typeof fixedResponse>
export type RewriteConfig = z.output<typeof rewrite>
export type MirrorConfig = z.output<typeof mirror>
