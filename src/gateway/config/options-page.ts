/**
 * The reference of every option, made from the schema: `docs/gateway-options.md`. What it says of
 * types and defaults is what the gateway does, because both come from one place.
 */
import { z } from 'zod'
import { gatewayConfig } from './schema/gateway.ts'

export function optionsPage(): string {
  const schema = z.toJSONSchema(gatewayConfig, { io: 'input', reused: 'inline' }) as JsonSchema
  const sections: string[] = []
  describe('', schema, sections)
  return `${HEAD}\n${sections.join('\n')}`
}

interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly additionalProperties?: JsonSchema | boolean
  readonly anyOf?: readonly JsonSchema[]
  /** One of several objects, told apart by a constant `type`. */
  readonly oneOf?: readonly JsonSchema[]
}

function describe(path: string, schema: JsonSchema, sections: string[], suffixOfTitle = ''): void {
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) return
  const rows = properties.map(([name, option]) => {
    const needed = schema.required?.includes(name) === true
    return `| \`${name}\` | ${typeOf(option)} | ${defaultOf(option, needed)} | ${textOf(option)} |`
  })
  const title = path === '' ? 'The document' : `\`${path}\`${suffixOfTitle}`
  const about = path === '' || schema.description === undefined ? '' : `${schema.description}.\n\n`
  sections.push(
    `## ${title}\n\n${about}| option | type | default | |\n|---|---|---|---|\n${rows.join('\n')}\n`,
  )
  for (const [name, option] of properties) {
    for (const variant of option.oneOf ?? []) {
      const type = String(variant.properties?.['type']?.const)
      describe(`${path}.${name}`, variant, sections, ` of type \`${type}\``)
    }
    const inner = objectOf(option)
    if (inner === undefined) continue
    const suffix = option.type === 'array' ? '[]' : ''
    // Routes of a listener are the routes of the document.
    if (path !== '' && name === 'routes') continue
    describe(path === '' ? name + suffix : `${path}.${name}${suffix}`, inner, sections)
  }
}

/** The object that an option is, holds a list of, or may be. */
function objectOf(schema: JsonSchema): JsonSchema | undefined {
  if (schema.properties !== undefined) return schema
  if (schema.items !== undefined) return objectOf(schema.items)
  return schema.anyOf?.map(objectOf).find((one) => one !== undefined)
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(' ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.anyOf !== undefined) return anyOf(schema.anyOf)
  if (schema.oneOf !== undefined) return 'map by `type`, below'
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`
  if (schema.type === 'integer' || schema.type === 'number') return rangeOf(schema)
  if (schema.type === 'object') {
    const values = schema.additionalProperties
    return typeof values === 'object' ? `map to ${typeOf(values)}` : 'map, below'
  }
  if (schema.type === 'boolean') return '`true` `false`'
  return schema.pattern?.includes('ms|s|m|h|d') === true ? 'duration' : 'text'
}

function anyOf(choices: readonly JsonSchema[]): string {
  if (choices.some(({ pattern }) => pattern?.includes('KiB') === true)) return 'size'
  return [...new Set(choices.map(typeOf))].join(' or ')
}

function rangeOf({ type, minimum, maximum }: JsonSchema): string {
  const kind = type === 'integer' ? 'whole number' : 'number'
  const bounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
  return bounded ? `${minimum ?? 0} to ${maximum}` : kind
}

function defaultOf(schema: JsonSchema, needed: boolean): string {
  if (needed) return '**needed**'
  const { default: value } = schema
  if (value === undefined) return '–'
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) {
    return Array.isArray(value) ? 'none' : 'see below'
  }
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function textOf({ description = '' }: JsonSchema): string {
  return description.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

const HEAD = `# Every option of the gateway

Made from the schema (\`npm run gen\`); docs/gateway.md explains how the parts work together.

A *duration* is a number and a unit: \`250ms\` \`0.25s\` \`5m\` \`1h\`. A *size* is a number of bytes, or has a unit: \`512B\` \`16KiB\`
\`1MiB\` \`10MB\`. \`–\`: not set, which the text beside it explains.
`
