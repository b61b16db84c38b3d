/**
 * `audit_log`: what is remembered of logins and decisions.
 */
import { z } from 'zod'
import { duration, fileName, size } from './primitives.ts'

export const auditLog = z
  .strictObject({
    path: z
      .union([z.literal('off'), fileName()])
      .default('off')
      .describe('A file; full ones are put aside as <path>.<number of the first record>'),
    key_file: fileName()
      .optional()
      .describe('Secret of the chain, 32 bytes or more: only who has it can write or verify'),
    signing_key_file: fileName().optional().describe('Ed25519 private key, PEM: signs checkpoints'),
    checkpoint_file: fileName()
      .optional()
      .describe('Number and hash of the last record; default <path>.checkpoint. Copy it elsewhere'),
    checkpoint_interval: duration(1).default('10s'),
    max_file: size(1_024).default('64MiB'),
    max_queue: size(1_024, 1_073_741_824)
      .default('4MiB')
      .describe('Records that wait for a slow disk'),
    when_full: z
      .enum(['refuse', 'drop'])
      .default('refuse')
      .describe('refuse: requests are answered 503 while nothing can be recorded; drop: counts'),
    sync: z
      .enum(['always', 'interval', 'never'])
      .default('interval')
      .describe('When the disk has it for certain; interval: once a second'),
    logins: z.enum(['all', 'refused']).default('all'),
    decisions: z
      .enum(['all', 'denied', 'none'])
      .default('denied')
      .describe('Of authorization, and of allow and deny'),
  })
  .describe('A chain of records that shows when it was touched: heddle audit verify')

export type AuditLogConfig = z.output<typeof auditLog>
