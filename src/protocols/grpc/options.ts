/**
 * Limits of gRPC messages, the same for both sides.
 */
import { checkInteger } from '../../core/errors.ts'

export interface GrpcMessageLimits {
  /**
   * Longest message that is received, in bytes, after decompression. Over it the call ends with
   * RESOURCE_EXHAUSTED.
   *
   * @default 4_194_304, as every implementation of gRPC: what a peer expects to get through
   */
  maxReceiveMessageBytes?: number
  /**
   * Longest message that is sent, in bytes, before compression. Over it the call ends with
   * RESOURCE_EXHAUSTED and nothing of the message is sent.
   *
   * @default Infinity, as every implementation of gRPC: the receiver has a limit of its own
   */
  maxSendMessageBytes?: number
  /**
   * How much of a stream of messages is decoded ahead of a loop over it (`for await`): bytes of the
   * messages, and 128 for each. 0: nothing. A `Source` that is opened by hand gets nothing ahead.
   *
   * @default 65_536: what one read of a socket brings. All of it is decoded where it lies, and the
   * body is not stopped and started again for each message
   */
  readAheadBytes?: number
}

export const grpcMessageDefaults: Readonly<Required<GrpcMessageLimits>> = Object.freeze({
  maxReceiveMessageBytes: 4 * 1024 * 1024,
  maxSendMessageBytes: Number.POSITIVE_INFINITY,
  readAheadBytes: 65_536,
})

/** Checked, with the defaults for what is not given. */
export function messageLimits(options: GrpcMessageLimits): Required<GrpcMessageLimits> {
  const {
    maxReceiveMessageBytes = grpcMessageDefaults.maxReceiveMessageBytes,
    maxSendMessageBytes = grpcMessageDefaults.maxSendMessageBytes,
    readAheadBytes = grpcMessageDefaults.readAheadBytes,
  } = options
  return {
    maxReceiveMessageBytes: checkInteger(
      'maxReceiveMessageBytes',
      maxReceiveMessageBytes,
      0,
      UINT32_MAX,
    ),
    maxSendMessageBytes:
      maxSendMessageBytes === Number.POSITIVE_INFINITY
        ? UINT32_MAX
        : checkInteger('maxSendMessageBytes', maxSendMessageBytes, 0, UINT32_MAX),
    readAheadBytes: checkInteger('readAheadBytes', readAheadBytes, 0, UINT32_MAX),
  }
}

/** The length in front of a message has 32 bits. */
const UINT32_MAX = 0xffff_ffff
