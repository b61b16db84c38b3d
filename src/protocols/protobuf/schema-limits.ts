/** How large a schema may be: it may come from somebody else, and is held as a whole. */
import { checkInteger, UsageError } from '../../core/errors.ts'

export interface SchemaLimits {
  /**
   * Longest `.proto` file, in bytes.
   *
   * @default 1_048_576: the longest that people write are a third of that
   */
  maxFileBytes?: number
  /** Longest set of descriptors, in bytes. @default 67_108_864: all of googleapis has 30 MB */
  maxDescriptorSetBytes?: number
  /** Files in all, imports included. @default 2_000 */
  maxFiles?: number
  /** Imports of imports of … @default 64: deeper than any that is known, and no deep stack */
  maxImportDepth?: number
}

export const schemaDefaults: Readonly<Required<SchemaLimits>> = Object.freeze({
  maxFileBytes: 1024 * 1024,
  maxDescriptorSetBytes: 64 * 1024 * 1024,
  maxFiles: 2_000,
  maxImportDepth: 64,
})

/** @throws UsageError ERR_OPTION_RANGE */
export function checkedLimits(options: SchemaLimits): Required<SchemaLimits> {
  const {
    maxFileBytes = schemaDefaults.maxFileBytes,
    maxDescriptorSetBytes = schemaDefaults.maxDescriptorSetBytes,
    maxFiles = schemaDefaults.maxFiles,
    maxImportDepth = schemaDefaults.maxImportDepth,
  } = options
  return {
    maxFileBytes: checkInteger('maxFileBytes', maxFileBytes, 1, MAX_BYTES),
    maxDescriptorSetBytes: checkInteger(
      'maxDescriptorSetBytes',
      maxDescriptorSetBytes,
      1,
      MAX_BYTES,
    ),
    maxFiles: checkInteger('maxFiles', maxFiles, 1, 1_000_000),
    maxImportDepth: checkInteger('maxImportDepth', maxImportDepth, 1, 1_000),
  }
}

export function tooMany(count: number, max: number): UsageError {
  return new UsageError('ERR_SCHEMA', `${count} files are over maxFiles ${max}`)
}

const MAX_BYTES = 0x7fff_ffff
