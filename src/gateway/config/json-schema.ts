/**
 * The JSON Schema that editors use, made from the same schema that checks.
 *
 * Put this first in a file, and most editors complete and check while typing:
 *
 *     # yaml-language-server: $schema=https://…/config.schema.json
 */
import { z } from 'zod'
import { gatewayConfig } from './schema/gateway.ts'

/** The schema as text, as it stands in `docs/config.schema.json`. */
export function configJsonSchema(): string {
  const schema = z.toJSONSchema(gatewayConfig, { io: 'input', reused: 'ref' })
  return `${JSON.stringify({ title: 'heddle gateway', ...schema }, undefined, 2)}\n`
}
