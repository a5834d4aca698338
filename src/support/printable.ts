/** What a terminal would obey and not show: control characters (C0, DEL, C1), line and paragraph separators, marks of direction. */
const CONTROLS = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const escaped = (control: string) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text of somebody else, made safe to print in a line: what a terminal would obey becomes `\u001b` and the like. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** A value as JSON over several lines that is safe to print: within its texts the same escapes mean the same. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value, null, 2));
}

/** Colours of letters, as this program draws them. */
const COLOURS = new RegExp(String.raw`(${'\u001b'}\[(?:3[129]|38;2;\d{1,3};\d{1,3};\d{1,3})m)`);

/** Lines, made safe to print in the same way; `coloured`: those with colours in them, which stay. */
export function printable(lines: string, { coloured = false }: { readonly coloured?: boolean } = {}): string {
  const parts = coloured ? lines.split(COLOURS) : [lines];
  const safe = (text: string) =>
    text.replace(CONTROLS, (control) => (/[\n\t]/.test(control) ? control : escaped(control)));
  // Every other part is a colour.
  return parts.map((part, i) => (i % 2 === 0 ? safe(part) : part)).join('');
}
