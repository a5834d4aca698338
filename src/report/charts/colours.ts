/** Colours are hexadecimal, "#rrggbb". */
export interface ChartColours {
  readonly paper: string;
  readonly ink: string;
  /** Of axes' texts. */
  readonly soft: string;
  readonly grid: string;
  /** Of curves and bars, in their order; the same order of hues in both themes. */
  readonly series: readonly string[];
  /** Of the heat map, none to all. */
  readonly heat: readonly [from: string, to: string];
}

export type ThemeName = 'light' | 'dark';

/** Texts have a contrast of at least 4.5 to the paper, curves of at least 3 (WCAG 2.2, 1.4.3 and 1.4.11). */
export const CHART_COLOURS: Readonly<Record<ThemeName, ChartColours>> = {
  light: {
    paper: '#ffffff',
    ink: '#1c1d1f',
    soft: '#5d6167',
    grid: '#e3e5e7',
    series: ['#2458c5', '#b3470f', '#14785a', '#8a3d9c', '#6b6100', '#9c2a4f'],
    heat: ['#ffffff', '#123a8c'],
  },
  dark: {
    paper: '#1d1f22',
    ink: '#e9eaec',
    soft: '#a2a7ae',
    grid: '#34373c',
    series: ['#8fb1ff', '#ffab70', '#6fd3ae', '#d9a2f0', '#d6c65a', '#ff9dbb'],
    heat: ['#1d1f22', '#b9cfff'],
  },
};

/** Steps of the heat map, from none to all. */
export const HEAT_LEVELS = 16;

function channels(colour: string): readonly number[] {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** The colour a part of the way from one to another. */
function mix(from: string, to: string, part: number): string {
  const end = channels(to);
  const mixed = channels(from).map((value, i) => Math.round(value + (end[i]! - value) * part));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Colour of a level of the heat map, 0 to `HEAT_LEVELS`. */
export function heatColour({ heat }: ChartColours, level: number): string {
  return mix(heat[0], heat[1], level / HEAT_LEVELS);
}

/** Relative luminance (WCAG 2.2). */
function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

/** Contrast of two colours, 1 to 21 (WCAG 2.2). */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

/** Black or white, whichever is read better on a colour; one of them always has a contrast of √21 ≈ 4.58 or more. */
export function textColourOn(colour: string): string {
  return contrast('#000000', colour) >= contrast('#ffffff', colour) ? '#000000' : '#ffffff';
}
