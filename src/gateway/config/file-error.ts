/** What went wrong with a file, in words instead of `ENOENT: no such file or directory, open …`. */
export function errorCodeOf(error: unknown): { code: string | undefined; text: string } {
  const code = (error as NodeJS.ErrnoException | null)?.code
  const known = code === undefined ? undefined : TEXTS[code]
  if (known !== undefined) return { code, text: known }
  return { code, text: error instanceof Error ? error.message : String(error) }
}

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is not a directory',
  ELOOP: 'too many symbolic links',
}
