import { isSection, type RecipeSection } from './experiment.js';

/** Longest side of a crop that a recipe does not give. */
const LONGEST_CROP_SIDE = 512;
interface Default {
  readonly key: string;
  /** For readers of a list of keys. */
  readonly words: string;
  /** The value, from those of other keys; undefined if these are missing. They may be of any kind. */
  readonly value: (read: (key: string) => unknown) => unknown;
}

/**
 * Values that a table's file may leave out, besides those in base.yaml: in this order, as later ones depend on earlier ones.
 * Published recipes give all of them.
 */
export const DEFAULTS: readonly Default[] = [
  {
    key: 'data.cropHw',
    words: `\`imageScaleWh\`, each side at most ${LONGEST_CROP_SIDE}`,
    value: (read) => {
      const scale = read('data.imageScaleWh');
      if (!Array.isArray(scale)) return undefined;
      return [...scale].reverse().map((side: unknown) => Math.min(Number(side), LONGEST_CROP_SIDE));
    },
  },
  { key: 'training.batch', words: '4', value: () => 4 },
  {
    key: 'training.checkpointEvery',
    words: 'a tenth of the iterations',
    value: (read) => {
      const iterations = read('training.iterations');
      return typeof iterations === 'number' ? Math.max(1, Math.ceil(iterations / 10)) : undefined;
    },
  },
  {
    key: 'evaluation.imageScaleWh',
    words: '`data.imageScaleWh`',
    value: (read) => read('data.imageScaleWh'),
  },
  { key: 'benchmark.trainingBatch', words: '`training.batch`', value: (read) => read('training.batch') },
];

export const DERIVED_KEYS: readonly string[] = DEFAULTS.map(({ key }) => key);

/** Adds the values that a recipe leaves out and that follow from others. The schema checks the result. */
export function withDefaults(recipe: RecipeSection): RecipeSection {
  let completed = recipe;
  for (const { key, value } of DEFAULTS) {
    const read = (wanted: string) => {
      const [section, name] = wanted.split('.') as [string, string];
      const inner = completed[section];
      return isSection(inner) ? inner[name] : undefined;
    };
    const found = read(key) === undefined ? value(read) : undefined;
    if (found === undefined) continue;
    const [section, name] = key.split('.') as [string, string];
    const inner = completed[section];
    completed = { ...completed, [section]: { ...(isSection(inner) ? inner : {}), [name]: found } };
  }
  return completed;
}
