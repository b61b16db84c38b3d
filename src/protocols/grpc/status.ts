/**
 * The seventeen status codes of gRPC, and what other codes mean among them: those of HTTP and the
 * error codes of HTTP/2.
 *
 * https://github.com/grpc/grpc/blob/master/doc/statuscodes.md and http-grpc-status-mapping.md
 */

export const GrpcStatus = Object.freeze({
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const)

export type GrpcStatusName = keyof typeof GrpcStatus
export type GrpcStatusCode = (typeof GrpcStatus)[GrpcStatusName]

/** `NOT_FOUND` of 5. A number that is none of them is `UNKNOWN`, as the specification says. */
export function grpcStatusName(code: number): GrpcStatusName {
  return NAMES[code] ?? 'UNKNOWN'
}

/** 5 of `NOT_FOUND`, in any case; undefined: no such name. */
export function grpcStatusCode(name: string): GrpcStatusCode | undefined {
  const upper = name.toUpperCase()
  return Object.hasOwn(GrpcStatus, upper) ? GrpcStatus[upper as GrpcStatusName] : undefined
}

/**
 * The value of `grpc-status`. What is no number, or none of the codes, is `UNKNOWN`: a newer peer
 * may have more of them.
 */
export function parseGrpcStatus(text: string): GrpcStatusCode {
  const code = /^\d{1,3}$/.test(text) ? Number(text) : GrpcStatus.UNKNOWN
  return code < NAMES.length ? (code as GrpcStatusCode) : GrpcStatus.UNKNOWN
}

/** What a response without `grpc-status` means, by its HTTP status. */
export function grpcStatusOfHttp(status: number): GrpcStatusCode {
  return OF_HTTP[status] ?? GrpcStatus.UNKNOWN
}

/** The HTTP status that says the same, for bridges to HTTP (google.rpc.Code's table). */
export function httpStatusOfGrpc(code: number): number {
  return TO_HTTP[code] ?? 500
}

/**
 * What an error code of HTTP/2 means (PROTOCOL-HTTP2, "Errors"). RST_STREAM without an error before
 * the status has come is as broken as any other.
 */
export function grpcStatusOfHttp2(code: number): GrpcStatusCode {
  return OF_HTTP2[code] ?? GrpcStatus.INTERNAL
}

const NAMES = Object.keys(GrpcStatus) as GrpcStatusName[]

const OF_HTTP: Readonly<Record<number, GrpcStatusCode>> = Object.freeze({
  400: GrpcStatus.INTERNAL,
  401: GrpcStatus.UNAUTHENTICATED,
  403: GrpcStatus.PERMISSION_DENIED,
  404: GrpcStatus.UNIMPLEMENTED,
  429: GrpcStatus.UNAVAILABLE,
  502: GrpcStatus.UNAVAILABLE,
  503: GrpcStatus.UNAVAILABLE,
  504: GrpcStatus.UNAVAILABLE,
})

const TO_HTTP: readonly number[] = Object.freeze([
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
])

/** By the numbers of RFC 9113, section 7. */
const OF_HTTP2: Readonly<Record<number, GrpcStatusCode>> = Object.freeze({
  7: GrpcStatus.UNAVAILABLE, // REFUSED_STREAM: nothing was done
  8: GrpcStatus.CANCELLED, // CANCEL
  11: GrpcStatus.RESOURCE_EXHAUSTED, // ENHANCE_YOUR_CALM
  12: GrpcStatus.PERMISSION_DENIED, // INADEQUATE_SECURITY
})
