/** What the keyboard sends, as names: `q`, `up`, `pagedown`, `ctrl-c`, `escape`, `enter`. */

/** Keys of one chunk of input, in order. What nobody knows is left out. */
export function readKeys(input: string): string[] {
  const keys: string[] = []
  for (const [sequence] of input.matchAll(SEQUENCE)) {
    const named = NAMED.get(sequence)
    if (named !== undefined) keys.push(named)
    else if (sequence.length <= 2 && sequence >= ' ' && sequence !== '\u007f') keys.push(sequence)
  }
  return keys
}

/** An escape sequence (CSI, SS3), or one character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: keyboards send them
const SEQUENCE = /\u001b\[[0-9;]*[A-Za-z~]|\u001bO[A-Za-z]|./gsu
const NAMED: ReadonlyMap<string, string> = new Map([
  ['\u001b[A', 'up'],
  ['\u001bOA', 'up'],
  ['\u001b[B', 'down'],
  ['\u001bOB', 'down'],
  ['\u001b[5~', 'pageup'],
  ['\u001b[6~', 'pagedown'],
  ['\u001b[H', 'home'],
  ['\u001bOH', 'home'],
  ['\u001b[1~', 'home'],
  ['\u001b[F', 'end'],
  ['\u001bOF', 'end'],
  ['\u001b[4~', 'end'],
  ['\u001b', 'escape'],
  ['\r', 'enter'],
  ['\n', 'enter'],
  ['\u0003', 'ctrl-c'],
  ['\u0004', 'ctrl-c'],
  ['\u000c', 'ctrl-l'],
  ['\u0015', 'ctrl-u'],
  ['\u007f', 'backspace'],
  ['\b', 'backspace'],
])
