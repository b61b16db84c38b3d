/** `heddle/patterns`: ways of calling, as typed helpers over services. */
export type * from '../core/append-log.ts'
export { openFileLog } from '../platform/file-log.ts'
export * from '../runtime/patterns/batch.ts'
export * from '../runtime/patterns/fan-out.ts'
export * from '../runtime/patterns/outbox.ts'
export * from '../runtime/patterns/outbox-options.ts'
