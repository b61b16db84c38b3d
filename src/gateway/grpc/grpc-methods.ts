/**
 * Names of gRPC methods in metrics. Anybody can call any name, so a name is told apart only once an
 * upstream has shown that it knows it: it answered something else than UNIMPLEMENTED. The number of
 * names is bounded.
 */
import { GrpcStatus } from '../../protocols/grpc/status.ts'

export interface GrpcMethodsOptions {
  /** Most names. @default 500: as many as a large estate has, and each a dozen time series */
  maxMethods?: number
}

export const grpcMethodsDefaults: Readonly<Required<GrpcMethodsOptions>> = Object.freeze({
  maxMethods: 500,
})

export class GrpcMethods {
  readonly #known = new Set<string>()
  readonly #maxMethods: number

  constructor(options: GrpcMethodsOptions = {}) {
    this.#maxMethods = options.maxMethods ?? grpcMethodsDefaults.maxMethods
  }

  /**
   * @param path as it was called: `/package.Service/Method`
   * @param answered whether an upstream gave the status
   * @returns `package.Service/Method`, or `_OTHER`
   */
  nameOf(path: string, status: number, answered: boolean): string {
    if (!METHOD.test(path)) return OTHER
    const name = path.slice(1)
    if (this.#known.has(name)) return name
    const shown = answered && status !== GrpcStatus.UNIMPLEMENTED
    if (!shown || this.#known.size >= this.#maxMethods) return OTHER
    this.#known.add(name)
    return name
  }
}

const METHOD = /^\/[A-Za-z_][\w.]{0,254}\/[A-Za-z_]\w{0,126}$/
const OTHER = '_OTHER'
