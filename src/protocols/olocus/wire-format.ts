/**
 * How a block travels: an encoding, and a compression of the encoded bytes.
 *
 * Content types are those of the protocol; older names of them are read as well. The descriptor is
 * the 4 bytes that other languages pass around: `| encoding | compression | version | 0 |`.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import { blockError } from './block-codes.ts'
import { type BlockEncoding, ENCODING_IDS } from './encodings/encodings.ts'

export type BlockCompression = 'none' | 'zstd' | 'lz4' | 'gzip'

export const COMPRESSION_IDS: Readonly<Record<BlockCompression, number>> = Object.freeze({
  none: 0,
  zstd: 1,
  lz4: 2,
  gzip: 3,
})

export class WireFormat {
  readonly encoding: BlockEncoding
  readonly compression: BlockCompression
  /** zstd 1 to 22, gzip 1 to 9; undefined where there are none. */
  readonly level: number | undefined

  /** @param level of zstd @default 3, of gzip @default 6: what their authors chose */
  constructor(
    encoding: BlockEncoding = 'binary',
    compression: BlockCompression = 'none',
    level?: number,
  ) {
    if (ENCODING_IDS[encoding] === undefined || COMPRESSION_IDS[compression] === undefined) {
      throw new UsageError('ERR_ARGUMENT', `there is no format ${encoding}+${compression}`)
    }
    this.encoding = encoding
    this.compression = compression
    const levels = LEVELS[compression]
    if (levels === undefined) {
      if (level !== undefined) {
        throw new UsageError('ERR_OPTION_RANGE', `${compression} has no levels`)
      }
      this.level = undefined
    } else this.level = checkInteger('level', level ?? levels.usual, 1, levels.max)
    Object.freeze(this)
  }

  /** Canonical bytes, uncompressed. */
  static default(): WireFormat {
    return BINARY
  }
  static binary(): WireFormat {
    return BINARY
  }
  static json(): WireFormat {
    return JSON_FORMAT
  }
  static messagepack(): WireFormat {
    return MESSAGEPACK
  }
  /** The other name of `messagepack`. */
  static msgpack(): WireFormat {
    return MESSAGEPACK
  }
  static protobuf(): WireFormat {
    return PROTOBUF
  }
  static ssz(): WireFormat {
    return SSZ
  }
  /** Binary with zstd at level 3. */
  static compressedBinary(): WireFormat {
    return COMPRESSED_BINARY
  }
  /** JSON with gzip at level 6. */
  static compressedJson(): WireFormat {
    return COMPRESSED_JSON
  }

  /** `application/x-olocus-block`, `application/json+gzip`, … */
  get contentType(): string {
    const suffix = this.compression === 'none' ? '' : `+${this.compression}`
    return CONTENT_TYPES[this.encoding] + suffix
  }

  /** @throws ProtocolError SerializationError: not a content type of a block */
  static fromContentType(text: string): WireFormat {
    const [essence = ''] = text.split(';', 1)
    const [, base = '', compression = 'none'] =
      /^\s*(.*?)(?:\+(zstd|lz4|gzip))?\s*$/i.exec(essence.toLowerCase()) ?? []
    const encoding = ENCODING_OF_TYPE.get(base)
    if (encoding === undefined) {
      throw blockError(
        'SerializationError',
        `'${essence.slice(0, 80)}' is no content type of blocks`,
      )
    }
    return new WireFormat(encoding, compression as BlockCompression)
  }

  toDescriptor(): Uint8Array {
    const { encoding, compression } = this
    const ids = [ENCODING_IDS[encoding], COMPRESSION_IDS[compression]]
    return Uint8Array.of(...ids, DESCRIPTOR_VERSION, 0)
  }

  /** @throws ProtocolError SerializationError: a number that stands for nothing */
  static fromDescriptor(bytes: Uint8Array): WireFormat {
    const [encodingId, compressionId, version, reserved] = bytes
    const found = formatOf(encodingId, compressionId)
    if (bytes.length === 4 && version === DESCRIPTOR_VERSION && reserved === 0 && found) {
      return found
    }
    throw blockError('SerializationError', `[${bytes.subarray(0, 8).join()}] is no format`)
  }

  /** `binary`, `json+gzip`: for people and command lines. */
  toString(): string {
    const { encoding, compression } = this
    return compression === 'none' ? encoding : `${encoding}+${compression}`
  }

  /** @throws UsageError ERR_ARGUMENT */
  static parse(text: string): WireFormat {
    const [name = '', compression = 'none', ...more] = text.toLowerCase().split('+')
    const encoding = ALIASES[name] ?? name
    if (more.length > 0) throw new UsageError('ERR_ARGUMENT', `there is no format ${text}`)
    return new WireFormat(encoding as BlockEncoding, compression as BlockCompression)
  }
}

/** Undefined: a number that stands for nothing. */
export function formatOf(
  encodingId: number | undefined,
  compressionId: number | undefined,
): WireFormat | undefined {
  const encoding = ENCODINGS.find((name) => ENCODING_IDS[name] === encodingId)
  const compression = COMPRESSIONS.find((name) => COMPRESSION_IDS[name] === compressionId)
  if (encoding === undefined || compression === undefined) return undefined
  return new WireFormat(encoding, compression)
}

const LEVELS: Partial<Readonly<Record<BlockCompression, { usual: number; max: number }>>> =
  Object.freeze({ zstd: { usual: 3, max: 22 }, gzip: { usual: 6, max: 9 } })
const ALIASES: Readonly<Record<string, string>> = Object.freeze({ msgpack: 'messagepack' })
const ENCODINGS = Object.keys(ENCODING_IDS) as readonly BlockEncoding[]
const COMPRESSIONS = Object.keys(COMPRESSION_IDS) as readonly BlockCompression[]
const CONTENT_TYPES: Readonly<Record<BlockEncoding, string>> = Object.freeze({
  binary: 'application/x-olocus-block',
  json: 'application/json',
  messagepack: 'application/x-msgpack',
  protobuf: 'application/x-protobuf',
  ssz: 'application/x-ssz',
})
/** What is written first, then the older names. */
const ENCODING_OF_TYPE: ReadonlyMap<string, BlockEncoding> = new Map([
  ...ENCODINGS.map((name) => [CONTENT_TYPES[name], name] as const),
  ['application/x-olocus', 'binary'],
  ['application/octet-stream', 'binary'],
  ['application/msgpack', 'messagepack'],
  ['application/vnd.msgpack', 'messagepack'],
  ['application/protobuf', 'protobuf'],
  ['application/ssz', 'ssz'],
])
const DESCRIPTOR_VERSION = 1

const BINARY = new WireFormat()
const JSON_FORMAT = new WireFormat('json')
const MESSAGEPACK = new WireFormat('messagepack')
const PROTOBUF = new WireFormat('protobuf')
const SSZ = new WireFormat('ssz')
const COMPRESSED_BINARY = new WireFormat('binary', 'zstd')
const COMPRESSED_JSON = new WireFormat('json', 'gzip')
