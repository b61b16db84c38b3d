/**
 * A callback that a library may call: nothing that is thrown goes back into it, where it would abort
 * the process or stop the library's own work. It is thrown again outside, as an ordinary uncaught
 * exception.
 */
export function guard<Arguments extends unknown[]>(
  callback: (...args: Arguments) => void,
): (...args: Arguments) => void {
  return (...args) => {
    try {
      callback(...args)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
