import { IGNORE_INDEX, type Palette } from '../../data/image.js';
import { formatNumber, listNames } from '../../support/format.js';
import { type Survey, TOO_MANY_COLOURS } from './survey.js';

/** What label maps mean, as a data set's file says it. */
export interface ProposedClasses {
  readonly names: readonly string[];
  readonly palette: Palette;
  readonly reduceZeroLabel: boolean;
  /** Label values that stand for others; empty if none do. */
  readonly labels: Readonly<Record<number, number>>;
  /** What was found and how it is read, a phrase. */
  readonly reading: string;
  readonly warnings: readonly string[];
}

/** What prevents a proposal, whole sentences. */
interface Refusal {
  readonly mistakes: readonly string[];
}

/** The largest value of a mask. */
const MASK = 255;

/** At most 255 classes: 255 is reserved for pixels that are not counted. */
const MOST_CLASSES = 255;

/** Degrees between the hues of one class and the next: the golden angle, so that any number of hues is spread evenly. */
const HUE_STEP = 137.508;

/** Lightness of one class and the next: neighbours on the circle of hues differ in it. */
const LIGHTNESS = [0.5, 0.72, 0.34] as const;

/** The colour of a class without one. No class is black or white: pages show pixels that are not counted in black. */
function standardColour(id: number): readonly [number, number, number] {
  const hue = (210 + id * HUE_STEP) % 360;
  const lightness = LIGHTNESS[id % LIGHTNESS.length]!;
  const chroma = 0.8 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number) => {
    const at = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** Names of classes: the given ones, or numbered ones. Two classes are a background and what is looked for. */
function namesOf(count: number, given: readonly string[] | undefined): string[] {
  if (given?.length === count) return [...given];
  if (given?.length === 1 && count === 2) return ['background', given[0]!];
  if (count === 2) return ['background', 'foreground'];
  return Array.from({ length: count }, (_, id) => `class ${id}`);
}

function wrongCount(count: number, given: readonly string[] | undefined, what: string): Refusal | null {
  if (given === undefined || given.length === count || (given.length === 1 && count === 2)) return null;
  const named = formatNumber(given.length, 'class', 'classes');
  return { mistakes: [`--classes names ${named}, but ${what}.`] };
}

const listed = (values: readonly number[]) =>
  values.length > 12 ? `${values.slice(0, 12).join(', ')}, …` : listNames(values.map(String));

/** Classes of values, with their replacements if they are not the ids themselves. */
function proposeValues(survey: Survey, given: readonly string[] | undefined): ProposedClasses | Refusal {
  const { values, palette } = survey;
  const ignored = values.includes(IGNORE_INDEX);
  const counted = values.filter((value) => value !== IGNORE_INDEX);
  const also = ignored ? `; ${IGNORE_INDEX} is not counted` : '';
  const colourOf = (value: number, id: number) => palette[value] ?? standardColour(id);
  const mapped = (used: readonly number[], reading: string): ProposedClasses | Refusal =>
    wrongCount(used.length, given, `the label maps hold ${used.length} values: ${listed(used)}`) ?? {
      names: namesOf(used.length, given),
      palette: used.map(colourOf),
      reduceZeroLabel: false,
      labels: Object.fromEntries(used.flatMap((value, id) => (value === id ? [] : [[value, id]]))),
      reading,
      warnings: [],
    };
  if (values.length === 2 && values[0] === 0 && values[1] === MASK) return mapped(values, 'masks of 0 and 255');
  const last = counted.at(-1);
  if (last === undefined || counted.length + (given?.length === 1 ? 1 : 0) < 2) {
    return { mistakes: [`All label maps hold only ${listed(values)}: at least two classes are needed.`] };
  }
  const all = `values ${listed(counted)}`;
  // Grey levels that are far apart are made for the eye: they are numbered.
  if (given === undefined ? last >= 2 * counted.length : last >= given.length) {
    const withLast = given?.length === values.length;
    const used = withLast ? values : counted;
    return mapped(used, `values ${listed(used)}, numbered from 0${withLast ? '' : also}`);
  }
  if (counted[0] === 1 && counted.length === last && (given === undefined || given.length === last)) {
    return {
      names: given === undefined ? counted.map((value) => `class ${value}`) : [...given],
      palette: counted.map((value) => colourOf(value, value)),
      reduceZeroLabel: true,
      labels: {},
      reading: `${all}; 0 is no class${also}`,
      warnings: [],
    };
  }
  const count = given?.length ?? last + 1;
  const ids = Array.from({ length: count }, (_, id) => id);
  const absent = ids.filter((id) => !counted.includes(id));
  return {
    names: namesOf(count, given),
    palette: ids.map((id) => colourOf(id, id)),
    reduceZeroLabel: false,
    labels: {},
    reading: `${all}${also}`,
    warnings: absent.length === 0 ? [] : [`No label map holds the value ${listed(absent)}.`],
  };
}

const listedColours = (colours: Palette) =>
  listNames(colours.length > 8 ? [...colours.slice(0, 7).map(hex), `${colours.length - 7} more`] : colours.map(hex));

const hex = (colour: readonly number[]) => `#${colour.map((level) => level.toString(16).padStart(2, '0')).join('')}`;

function proposeColours({ colours }: Survey, given: readonly string[] | undefined): ProposedClasses | Refusal {
  if (colours.length >= TOO_MANY_COLOURS) {
    const why = 'they were probably compressed as JPEG, resized or smoothed';
    return {
      mistakes: [`The label maps hold more than ${MOST_CLASSES} colours: ${why}. Save each class in one colour.`],
    };
  }
  if (colours.length < 2) return { mistakes: ['All label maps have one colour: at least two classes are needed.'] };
  const found = `the label maps hold ${colours.length} colours: ${listedColours(colours)}`;
  const refusal = wrongCount(colours.length, given, found);
  if (refusal !== null) return refusal;
  const named = colours.length === 2 || given?.length === colours.length;
  return {
    names: named ? namesOf(colours.length, given) : colours.map((colour) => `colour ${hex(colour)}`),
    palette: colours,
    reduceZeroLabel: false,
    labels: {},
    reading: `the colours ${listedColours(colours)}`,
    warnings: [],
  };
}

/**
 * Classes for what label maps hold: masks, ids, grey levels or colours.
 * @param given Names of the classes, in the order of the values or colours; of two, the first may be left out.
 */
export function proposeClasses(survey: Survey, given: readonly string[] | undefined): ProposedClasses | Refusal {
  const { values, colours } = survey.decoded;
  if (values > 0 && colours > 0) {
    const found = `${formatNumber(values, 'label map')} hold${values === 1 ? 's' : ''} values`;
    return {
      mistakes: [`${found}, but ${colours} hold${colours === 1 ? 's' : ''} colours: save all in the same way.`],
    };
  }
  const twice = given?.find((name, i) => given.indexOf(name) !== i);
  if (twice !== undefined) return { mistakes: [`--classes names ${twice} twice.`] };
  return colours > 0 ? proposeColours(survey, given) : proposeValues(survey, given);
}
