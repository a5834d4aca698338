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

/** Memory for people: "12.4 MB", "1.38 GB". Powers of 1024, as the published tables count. */
export function formatBytes(bytes: number): string {
  return bytes < 2 ** 29 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${(bytes / 2 ** 30).toFixed(2)} GB`;
}

/** The size of a file for people: "48 kB", and from a megabyte on as `formatBytes`. */
export function formatFileSize(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} kB` : formatBytes(bytes);
}

/** A large number with a unit prefix and three digits: "23.5 M", "198 G". */
export function formatCount(count: number): string {
  const prefixes = ['', ' k', ' M', ' G', ' T', ' P', ' E'];
  const power = count < 1000 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(count) / 3));
  const scaled = count / 1000 ** power;
  return `${power === 0 ? String(count) : scaled.toPrecision(3)}${prefixes[power]}`;
}

/** A text with a full stop, unless it ends a sentence already. */
export function endSentence(text: string): string {
  return /[.?!…]$/.test(text) ? text : `${text}.`;
}

/** A fraction in percent with two decimals, without the sign: 0.7225 → "72.25". */
export function formatPercent(fraction: number): string {
  return (fraction * 100).toFixed(2);
}

/** A share of things that were counted, in percent: "<0.01" where so little is there that two decimals would deny it. */
export function formatShare(fraction: number): string {
  const rounded = formatPercent(fraction);
  return fraction > 0 && rounded === '0.00' ? '<0.01' : rounded;
}

/** A number of things: "1 image", "2 images". */
export function formatNumber(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** How far a download is, for people: "12.4 MB of 188.9 MB (6 %)". */
export function formatDownload({ bytes, total }: { readonly bytes: number; readonly total: number | null }): string {
  return total === null
    ? formatBytes(bytes)
    : `${formatBytes(bytes)} of ${formatBytes(total)} (${Math.floor((bytes / total) * 100)} %)`;
}
