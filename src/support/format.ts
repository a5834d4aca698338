import { UserError } from './errors.js';

/** Time for people: "0.35 s", "42 s", "12 min 05 s", "3 h 02 min". */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (n: number) => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

const TIME_UNITS = [
  [31_557_600, 'years'],
  [86_400, 'days'],
  [3600, 'h'],
  [60, 'min'],
] as const;

/** A range of times for people, in one unit: "53–156 s", "12–18 min", "1.5–2.1 h". */
export function formatTimeRange(lowSeconds: number, highSeconds: number): string {
  const [seconds, unit] =
    TIME_UNITS.find(([size]) => lowSeconds >= size || highSeconds >= 5 * size) ?? ([1, 's'] as const);
  const [low, high] = [lowSeconds, highSeconds].map((bound) => {
    const value = bound / seconds;
    return value.toFixed(value >= 9.95 ? 0 : value >= 0.995 ? 1 : 2);
  });
  return low === high ? `${low} ${unit}` : `${low}–${high} ${unit}`;
}

/** Units above GB, and from how many of the one before they are used. */
const LARGE_UNITS = ['TB', 'PB', 'EB'] as const;
const MOST_OF_UNIT = 10_000;

/** Memory for people: "12.4 MB", "1.38 GB", "97.66 TB", ">9999 EB". Powers of 1024, as the published tables count. */
export function formatBytes(bytes: number): string {
  if (bytes < 2 ** 29) return `${(bytes / 2 ** 20).toFixed(1)} MB`;
  let [value, unit]: [number, string] = [bytes / 2 ** 30, 'GB'];
  for (const larger of LARGE_UNITS) if (value >= MOST_OF_UNIT) [value, unit] = [value / 1024, larger];
  return value < MOST_OF_UNIT ? `${value.toFixed(2)} ${unit}` : `>${MOST_OF_UNIT - 1} ${unit}`;
}

/** The size of a file for people: "48 kB", and from a megabyte on as `formatBytes`. */
export function formatFileSize(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} kB` : formatBytes(bytes);
}

/** A count with a unit prefix and three digits: "23.5 M", "198 G". */
export function formatCount(count: number): string {
  const prefixes = ['', ' k', ' M', ' G', ' T', ' P', ' E'];
  const power = count < 1000 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(count) / 3));
  const scaled = count / 1000 ** power;
  return `${power === 0 ? String(count) : scaled.toPrecision(3)}${prefixes[power]}`;
}

/** A number with four digits: "0.0123", "3.617", "1.2e+38"; "NaN" and "Infinity" as they are. */
export function shortNumber(value: number): string {
  const text = Number(value.toPrecision(4));
  const isPlain = value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5);
  return isPlain || !Number.isFinite(value) ? String(text) : value.toExponential(1);
}

/** A text with a full stop, unless it ends with punctuation already. */
export function endSentence(text: string): string {
  return /[.?!…]$/.test(text) ? text : `${text}.`;
}

/** A fraction in percent with two decimals, without the sign: 0.7225 → "72.25". */
export function formatPercent(fraction: number): string {
  return (fraction * 100).toFixed(2);
}

/** A share of counted things, in percent; "<0.01" if it is not 0, but two decimals would show 0. */
export function formatShare(fraction: number): string {
  const rounded = formatPercent(fraction);
  return fraction > 0 && rounded === '0.00' ? '<0.01' : rounded;
}

/** "1 image", "2 images". */
export function formatNumber(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** "a", "a and b", "a, b and c". */
export function listNames(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** Progress of a download: "12.4 MB of 188.9 MB (6 %)". */
export function formatDownload({ bytes, total }: { readonly bytes: number; readonly total: number | null }): string {
  return total === null
    ? formatBytes(bytes)
    : `${formatBytes(bytes)} of ${formatBytes(total)} (${Math.floor((bytes / total) * 100)} %)`;
}

const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const;
type Unit = keyof typeof SECONDS;

/**
 * A time as "90s", "5m", "3h50m" or "500ms", in seconds.
 * @throws UserError for anything else.
 */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new UserError(`"${text}" is not a time.`, 'Write it as 90s, 5m or 3h50m.');
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * SECONDS[unit as Unit], 0);
}

/** What a terminal obeys instead of showing it: control characters (C0, DEL, C1), line and paragraph separators, direction marks. */
const CONTROLS = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const escaped = (control: string) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Foreign text, safe to print in a line: a control character becomes an escape such as `\u001b`. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** A value as indented JSON, safe to print: the escapes have the same meaning in JSON. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value, null, 2));
}

/** The colours that this program prints. */
const COLOURS = new RegExp(String.raw`(${'\u001b'}\[(?:3[129]|38;2;\d{1,3};\d{1,3};\d{1,3})m)`);

/** Lines, safe to print; line breaks and tabs stay. @param options.coloured Colours stay, too. */
export function printable(lines: string, { coloured = false }: { readonly coloured?: boolean } = {}): string {
  const parts = coloured ? lines.split(COLOURS) : [lines];
  const safe = (text: string) =>
    text.replace(CONTROLS, (control) => (/[\n\t]/.test(control) ? control : escaped(control)));
  // Every other part is a colour.
  return parts.map((part, i) => (i % 2 === 0 ? safe(part) : part)).join('');
}

/** Words that need no quotes in a POSIX shell. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** A command line for a POSIX shell, each word quoted if necessary. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

/** Without the rounding error of a difference of decimal fractions: −0.27, not −0.27000000000000046. */
export function withoutNoise(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(12));
}
