/**
 * What is wrong with a head, in words: named after the mistake, since these messages are what
 * people see who point a TLS client at a plain port, or write a client of their own.
 */
import type { CodeOf } from '../../core/error-codes.ts'
import { COLON, CR, HASH, HT, LF, NINE, SP, ZERO } from './head-syntax.ts'

export interface HeadProblem {
  /** Of the answer, when it is a request. */
  readonly status: number
  readonly code: CodeOf<'ProtocolError'>
  readonly message: string
}

export const BARE_CR = 'CR without LF'
export const BARE_LF = 'LF without CR'

export function malformedHead(message: string): HeadProblem {
  return { status: 400, code: 'ERR_MALFORMED', message }
}

/** @param first whether it is the first byte of the request */
export function methodProblem(byte: number, first: boolean): HeadProblem {
  if (first) {
    if (byte === TLS_HANDSHAKE) {
      const message = 'this is a TLS handshake, the port speaks plain HTTP'
      return { status: 400, code: 'ERR_WRONG_PROTOCOL', message }
    }
    if (byte === SP || byte === HT) return malformedHead('space before the request line')
    if (byte === CR) return malformedHead('more than one empty line before the request line')
  }
  if (byte === LF) return malformedHead(BARE_LF)
  return malformedHead(`byte ${hex(byte)} in the method`)
}

export function targetProblem(byte: number): HeadProblem {
  if (byte === SP) return malformedHead('empty request target')
  if (byte === CR || byte === LF) return malformedHead('request line without a version')
  if (byte === HASH) return malformedHead('fragment in the request target')
  return malformedHead(`byte ${hex(byte)} in the request target`)
}

/** The major version is not 1. */
export function majorProblem(byte: number, method: string): HeadProblem {
  if (byte < ZERO || byte > NINE) return malformedHead('bad HTTP version')
  if (method === 'PRI') {
    const message = 'this is an HTTP/2 preface, the port speaks HTTP/1.1'
    return { status: 505, code: 'ERR_WRONG_PROTOCOL', message }
  }
  const message = `HTTP version ${byte - ZERO} is not supported`
  return { status: 505, code: 'ERR_VERSION', message }
}

/** The minor version is neither 0 nor 1. */
export function minorProblem(byte: number): HeadProblem {
  if (byte < ZERO || byte > NINE) return malformedHead('bad HTTP version')
  const message = `HTTP version 1.${byte - ZERO} is not supported`
  return { status: 505, code: 'ERR_VERSION', message }
}

/** A response that does not start with `HTTP/`. */
export function notHttpProblem(byte: number, index: number): HeadProblem {
  let message = 'the answer does not begin with HTTP/1'
  if (index === 0 && (byte === TLS_HANDSHAKE || byte === TLS_ALERT)) {
    message = 'the peer speaks TLS, not plain HTTP'
  } else if (index === 0 && byte === 0) {
    message = 'the peer answers in binary, perhaps HTTP/2'
  }
  return { status: 502, code: 'ERR_WRONG_PROTOCOL', message }
}

/** @param first whether it is the first byte of the line */
export function nameProblem(byte: number, first: boolean): HeadProblem {
  if (first && (byte === SP || byte === HT)) {
    return malformedHead('field line starts with a space (obs-fold is not supported)')
  }
  if (first && byte === COLON) return malformedHead('field without a name')
  if (byte === SP || byte === HT) return malformedHead('space between field name and colon')
  if (byte === LF) return malformedHead(BARE_LF)
  if (byte === CR) return malformedHead('field line without a colon')
  return malformedHead(`byte ${hex(byte)} in a field name`)
}

export function valueProblem(byte: number): HeadProblem {
  if (byte === LF) return malformedHead(BARE_LF)
  return malformedHead(`byte ${hex(byte)} in a field value`)
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}

const TLS_ALERT = 0x15
const TLS_HANDSHAKE = 0x16
