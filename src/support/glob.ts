/** Whether a name matches a pattern in which `*` stands for any characters and `?` for one. */
export function matchesGlob(name: string, pattern: string): boolean {
  const expression = pattern
    .replaceAll(/[.+^$()|[\]\\{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${expression}$`, 's').test(name);
}
