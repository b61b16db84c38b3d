/** What the commands of `heddle block` read: blocks from files, numbers from options. */
import { readFile } from 'node:fs/promises'
import { UsageError } from '../core/errors.ts'
import { nodeHost } from '../platform/node-host.ts'
import type { Block } from '../protocols/olocus/block.ts'
import { decodeAuto, fromWireFormat } from '../protocols/olocus/compressed.ts'
import type { WireFormat } from '../protocols/olocus/wire-format.ts'

/** @param format undefined: found out by the first bytes */
export async function readBlock(path: string, format: WireFormat | undefined): Promise<Block> {
  const bytes = new Uint8Array(await readFile(path))
  const options = { host: nodeHost, give: true }
  return format === undefined
    ? await decodeAuto(bytes, options)
    : await fromWireFormat(bytes, format, options)
}

/** @throws UsageError naming the option */
export function integer(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) {
    throw new UsageError('ERR_ARGUMENT', `--${name} is '${text}', must be a whole number`)
  }
  return value
}
