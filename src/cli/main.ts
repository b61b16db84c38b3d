#!/usr/bin/env node
/**
 * `heddle`: looks at the Node it was started with, then runs the command. Everything else is loaded
 * after that look, so that a Node that is too old is told so instead of failing on syntax.
 */
const MINIMUM = [22, 20] as const

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1])) {
  process.stderr.write(
    `heddle needs Node ${MINIMUM.join('.')} or later; this is ${process.versions.node} (${process.execPath})\n`,
  )
  process.exitCode = 69 // EX_UNAVAILABLE
} else if (process.argv[2] === 'call') {
  // Scripts call it in loops: it does not wait for the gateway to be loaded.
  const [{ callCommand }, { terminalOf }] = await Promise.all([
    import('./call/call.ts'),
    import('./terminal.ts'),
  ])
  process.exitCode = await callCommand(process.argv.slice(3), process, terminalOf(process))
} else {
  const { run } = await import('./run.ts')
  process.exitCode = await run(process.argv.slice(2), process)
}
