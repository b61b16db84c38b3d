/**
 * Reads the files of an audit log from the first record to the last, and says where it was touched.
 *
 * Found out: a changed byte, a record that is missing, put in, doubled or moved, within a file and
 * over files; a torn end; the wrong key. With a checkpoint also: records cut off at the end, up to
 * the checkpoint's. Not found out: what was cut off behind the last checkpoint, and, in a log without
 * key, a rewriting of everything from some record on by somebody who computes the hashes anew, unless
 * a checkpoint from before says otherwise.
 */
import type { KeyObject } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type AuditCheckpoint, readCheckpoint } from './audit-checkpoint.ts'
import { type AuditRecord, GENESIS, MAX_LINE_BYTES, readRecord } from './audit-record.ts'

export interface AuditVerifyOptions {
  /** The HMAC key of a keyed log. */
  key?: KeyObject
  /** Text of a checkpoint. */
  checkpoint?: string
  /** The checkpoint must be signed by it. */
  publicKey?: KeyObject
  /** Files that begin in the middle of the log are fine: the ones before were archived. */
  partial?: boolean
}

export interface AuditBreak {
  readonly file: string
  /** From 1; 0: the file as a whole. */
  readonly line: number
  /** Of the record there, where it can be read. */
  readonly seq: number | undefined
  readonly kind: 'edited' | 'missing' | 'inserted' | 'torn' | 'truncated' | 'checkpoint'
  readonly reason: string
}

export interface AuditReport {
  readonly ok: boolean
  readonly records: number
  /** 0: there are none. */
  readonly firstSeq: number
  readonly lastSeq: number
  readonly lastHash: string
  /** The first place that is wrong. */
  readonly broken: AuditBreak | undefined
  /** Number of the record that the checkpoint names, once it was found. */
  readonly checkpoint: number | undefined
}

/** The files in any order: each says by its first record where it belongs. */
export async function verifyAudit(
  files: readonly string[],
  options: AuditVerifyOptions = {},
): Promise<AuditReport> {
  const { key, publicKey } = options
  const checkpoint =
    options.checkpoint === undefined
      ? undefined
      : readCheckpoint(options.checkpoint, key, publicKey)
  const walk = new Walk(options, typeof checkpoint === 'string' ? undefined : checkpoint)
  if (typeof checkpoint === 'string') {
    return walk.report({
      file: '',
      line: 0,
      seq: undefined,
      kind: 'checkpoint',
      reason: checkpoint,
    })
  }
  const ordered = await inOrder(files)
  for (const file of ordered) {
    const broken = await walk.file(file)
    if (broken !== undefined) return walk.report(broken)
  }
  return walk.report(walk.end(ordered.at(-1) ?? ''))
}

class Walk {
  readonly #key: KeyObject | undefined
  readonly #partial: boolean
  readonly #checkpoint: AuditCheckpoint | undefined
  #records = 0
  #firstSeq = 0
  #seq = 0
  #hash = GENESIS
  #seen: number | undefined

  constructor(
    { key, partial = false }: AuditVerifyOptions,
    checkpoint: AuditCheckpoint | undefined,
  ) {
    this.#key = key
    this.#partial = partial
    this.#checkpoint = checkpoint
  }

  async file(file: string): Promise<AuditBreak | undefined> {
    let number = 0
    for await (const { line, whole } of linesOf(file)) {
      number++
      const broken = whole ? this.#line(line) : TORN
      if (broken !== undefined) return { file, line: number, ...broken }
    }
    return undefined
  }

  /** Whatever concerns the whole. */
  end(file: string): AuditBreak | undefined {
    const wanted = this.#checkpoint
    if (wanted === undefined || this.#seen !== undefined) return undefined
    // A partial verification may begin behind it.
    if (this.#partial && this.#records > 0 && wanted.seq < this.#firstSeq) return undefined
    const reason = `it ends with record ${this.#seq}, the checkpoint knows record ${wanted.seq}`
    return { file, line: 0, seq: this.#seq, kind: 'truncated', reason }
  }

  report(broken: AuditBreak | undefined): AuditReport {
    return {
      ok: broken === undefined,
      records: this.#records,
      firstSeq: this.#firstSeq,
      lastSeq: this.#seq,
      lastHash: this.#hash,
      broken,
      checkpoint: this.#seen,
    }
  }

  #line(line: string): Omit<AuditBreak, 'file' | 'line'> | undefined {
    const record = readRecord(line, this.#key)
    if (typeof record === 'string') {
      return { seq: seqOf(line), kind: 'edited', reason: record }
    }
    const first = this.#records === 0
    if (!(first && this.#partial)) {
      const broken = this.#follows(record)
      if (broken !== undefined) return { seq: record.seq, ...broken }
    }
    if (first) this.#firstSeq = record.seq
    this.#records++
    this.#seq = record.seq
    this.#hash = record.hash
    return this.#compare(record)
  }

  #follows({ seq, prev }: AuditRecord): Pick<AuditBreak, 'kind' | 'reason'> | undefined {
    const expected = this.#seq + 1
    if (seq > expected) {
      const last = seq - 1
      const what =
        last === expected ? `record ${expected} is` : `records ${expected} to ${last} are`
      return { kind: 'missing', reason: `${what} missing before it` }
    }
    if (seq < expected) {
      return { kind: 'inserted', reason: `record ${seq} again, or out of place` }
    }
    if (prev === this.#hash) return undefined
    return { kind: 'inserted', reason: 'it does not follow the record before it' }
  }

  #compare({ seq, hash }: AuditRecord): Omit<AuditBreak, 'file' | 'line'> | undefined {
    if (seq !== this.#checkpoint?.seq) return undefined
    if (hash !== this.#checkpoint.hash) {
      return { seq, kind: 'edited', reason: 'the checkpoint knows this record with another hash' }
    }
    this.#seen = seq
    return undefined
  }
}

/** By the number of their first records; files without one come last, as they are. */
async function inOrder(files: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    files.map(async (file) => {
      for await (const { line } of linesOf(file)) return { file, seq: seqOf(line) }
      return { file, seq: undefined }
    }),
  )
  const last = Number.POSITIVE_INFINITY
  return found.sort((a, b) => (a.seq ?? last) - (b.seq ?? last)).map(({ file }) => file)
}

/** Lines without their newline; a last one that has none is not whole. Bounded. */
async function* linesOf(file: string): AsyncGenerator<{ line: string; whole: boolean }> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(file)) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
    let start = 0
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, start)) {
      yield { line: textOf(rest.subarray(start, end)), whole: true }
      start = end + 1
    }
    rest = rest.subarray(start)
    if (rest.length > MAX_LINE_BYTES) {
      yield { line: textOf(rest.subarray(0, 64)), whole: true }
      return
    }
  }
  if (rest.length > 0) yield { line: textOf(rest), whole: false }
}

/** Bytes that are no UTF-8 must not become the same text as others. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return Buffer.byteLength(text) === bytes.length && Buffer.from(text).equals(bytes)
    ? text
    : bytes.toString('latin1')
}

/** What a line that may be broken says its number is. */
function seqOf(line: string): number | undefined {
  const text = /"seq":(\d{1,15})[,}]/.exec(line)?.[1]
  return text === undefined ? undefined : Number(text)
}

const NEWLINE = 0x0a
const TORN = {
  seq: undefined,
  kind: 'torn',
  reason: 'the last line has no end: the writer was cut off, or the file was',
} as const
