/**
 * A unary call as a GET, for methods without side effects: caches and browsers know what to do with it.
 *
 *     /acme.v1.Users/Get?connect=v1&encoding=json&message=%7B%22id%22%3A7%7D
 *     /acme.v1.Users/Get?connect=v1&encoding=proto&base64=1&compression=gzip&message=H4sI…
 *
 * Parameters are unique: of two with one name a proxy and the server might each take another.
 */
import { ProtocolError } from '../../core/errors.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'

export interface ConnectGet {
  /** The name of the codec, `json` or `proto`; not checked here. */
  readonly encoding: string
  readonly message: Uint8Array
  readonly compression: string | undefined
  /** `connect=v1` was there. */
  readonly versioned: boolean
}

/** Query and `?` of a GET. */
export function encodeConnectGet(get: Omit<ConnectGet, 'versioned'>): string {
  const { encoding, message, compression } = get
  const plain = encoding === 'json' && compression === undefined
  const text = plain ? encodeURIComponent(DECODER.decode(message)) : toQuery(message)
  const coding = compression === undefined ? '' : `&compression=${encodeURIComponent(compression)}`
  const form = plain ? '' : '&base64=1'
  return `?connect=v1&encoding=${encodeURIComponent(encoding)}${coding}${form}&message=${text}`
}

/** @throws ProtocolError ERR_MALFORMED; ERR_VERSION for another version than v1 */
export function parseConnectGet(target: string): ConnectGet {
  const parameters = parseQuery(target)
  const version = parameters.get('connect')
  if (version !== undefined && version !== 'v1') {
    throw new ProtocolError('ERR_VERSION', 'the parameter connect must be v1')
  }
  const encoding = parameters.get('encoding')
  if (encoding === undefined) throw malformed('the parameter encoding is missing')
  const text = parameters.get('message')
  if (text === undefined) throw malformed('the parameter message is missing')
  const base64 = parameters.get('base64')
  if (base64 !== undefined && base64 !== '0' && base64 !== '1') {
    throw malformed('the parameter base64 must be 0 or 1')
  }
  const message = base64 === '1' ? decodeBase64(text) : ENCODER.encode(text)
  if (message === undefined) throw malformed('the parameter message is not base64')
  const compression = parameters.get('compression')
  return {
    encoding,
    message,
    compression: compression === '' || compression === 'identity' ? undefined : compression,
    versioned: version !== undefined,
  }
}

/** Parameters that Connect knows; all others are somebody else's. */
function parseQuery(target: string): Map<string, string> {
  const parameters = new Map<string, string>()
  const mark = target.indexOf('?')
  if (mark < 0) return parameters
  for (const pair of target.slice(mark + 1).split('&', MAX_PARAMETERS + 1)) {
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (!NAMES.has(name)) continue
    if (parameters.has(name)) throw malformed(`the parameter ${name} came twice`)
    parameters.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1), name))
  }
  return parameters
}

function decode(value: string, name: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '))
  } catch (cause) {
    throw new ProtocolError('ERR_MALFORMED', `the parameter ${name} is not percent-encoded text`, {
      cause,
    })
  }
}

function toQuery(message: Uint8Array): string {
  return encodeBase64(message, { url: true, padding: false })
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', message)
}

const NAMES: ReadonlySet<string> = new Set([
  'connect',
  'encoding',
  'message',
  'base64',
  'compression',
])
const MAX_PARAMETERS = 64
const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
