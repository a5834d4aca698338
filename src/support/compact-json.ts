/**
 * JSON with two spaces of indentation, in which a list of numbers, texts and the like takes one line: a confusion matrix
 * of 150 classes is 150 lines so, and not 22,500.
 */
export function compactJson(value: unknown, indentation = ''): string {
  const inner = `${indentation}  `;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object' || item === null)) return JSON.stringify(value);
    return `[\n${value.map((item) => inner + compactJson(item, inner)).join(',\n')}\n${indentation}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, item]) => `${inner}${JSON.stringify(key)}: ${compactJson(item, inner)}`);
  return `{\n${lines.join(',\n')}\n${indentation}}`;
}
