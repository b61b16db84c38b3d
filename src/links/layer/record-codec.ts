/**
 * What a layer of records is made of, whether it runs over a byte stream or over messages: payloads
 * become records and back, after records of a handshake where there is one.
 *
 * On a byte stream each record has its length in front (u32, big-endian); over messages each record
 * is a message.
 */

export interface RecordCodec {
  /** What a record has beyond its payload, in bytes. */
  readonly overheadBytes: number
  /** The longest payload of a record on a byte stream. */
  readonly maxPayloadBytes: number
  /** Payloads given by `open` are nobody else's. Otherwise they may be views of the record. */
  readonly ownsPayloads: boolean
  /** False: records are still given to `receiveHandshake`. */
  readonly ready: boolean
  /** The peer said with authority that it sends no more. A codec that has no such record: always. */
  readonly ended: boolean
  /**
   * Set by `receiveHandshake` when this side does not agree: its answer, which says so, is sent, and
   * the connection ended.
   */
  readonly refusal?: Error | undefined
  /** The records that this side sends first, each in one piece. */
  begin(): readonly Uint8Array[]
  /** One record of the peer before `ready`. @returns what to answer @throws HeddleError */
  receiveHandshake(record: Uint8Array): readonly Uint8Array[]
  /**
   * Makes a record of a payload, or a few.
   * @param emit called with the pieces of each record, which are then nobody else's
   */
  seal(payload: Uint8Array, now: number, emit: (pieces: readonly Uint8Array[]) => void): void
  /** The records that say that no more follows. */
  sealEnd(emit: (pieces: readonly Uint8Array[]) => void): void
  /**
   * The payload of a record; undefined: it had none for the owner.
   * @throws ProtocolError when it is not what the peer would have sent
   */
  open(record: Uint8Array): Uint8Array | undefined
}

/** A layer that must agree with its peer before it can be used. */
export interface Shaking {
  /** Once: `done` is called when both sides have agreed, or with the reason why not. */
  shake(done: (error: Error | undefined) => void): void
  destroy(reason?: Error): void
}
