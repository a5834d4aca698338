import type { Size } from '../../data/image.js';
import { withDefaults } from '../../recipe/defaults.js';
import { formatNumber } from '../../support/format.js';
import type { ProposedClasses } from './classes.js';
import { MOST_DECODED, type Survey } from './survey.js';

/** A source of a split as the data set's file has it; folders are relative to the data set's folder. */
export interface DescribedSource {
  readonly split: string;
  readonly images: string;
  readonly labels: string;
  readonly imageSuffix: string;
  readonly labelSuffix: string;
  /** Beside the data set's file. */
  readonly list: string | null;
}

/** What the files of a new data set say. */
export interface Description {
  readonly name: string;
  /** The data root, relative to the folder of the files, and the data set's folder under it. */
  readonly dataRoot: string;
  readonly folder: string;
  readonly classes: ProposedClasses;
  readonly sources: readonly DescribedSource[];
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  readonly splitReading: string;
  readonly survey: Survey;
}

/** A text as YAML has it, in quotes only if it needs them. */
function scalar(text: string): string {
  return /^[A-Za-z_./][\w./-]*( [\w./-]+)*$/.test(text) && !/^(true|false|null|yes|no|on|off|\.inf|\.nan)$/i.test(text)
    ? text
    : JSON.stringify(text);
}

const flow = (entries: readonly (readonly [string, string])[]) =>
  `{ ${entries.map(([key, value]) => `${key}: ${value}`).join(', ')} }`;

/** The data set's file, with comments. */
export function datasetText({ name, folder, classes, sources, splitReading, survey }: Description): string {
  const decoded = survey.decoded.values + survey.decoded.colours;
  const splits = [...new Set(sources.map(({ split }) => split))].flatMap((split) => [
    `  ${split}:`,
    ...sources
      .filter((source) => source.split === split)
      .map(({ images, labels, imageSuffix, labelSuffix, list }) => {
        const entries = Object.entries({ images, labels, imageSuffix, labelSuffix, ...(list !== null && { list }) });
        return `    - ${flow(entries.map(([key, value]) => [key, scalar(value)]))}`;
      }),
  ]);
  const replaced = Object.entries(classes.labels);
  return [
    '# yaml-language-server: $schema=./schemas/dataset.json',
    `# The data set ${name}, as fcn init found it in ${decoded === MOST_DECODED ? `${MOST_DECODED} of the` : `${decoded}`} label maps:`,
    `# ${classes.reading}.`,
    '',
    `name: ${scalar(name)}`,
    `folder: ${scalar(folder)} # under the data root, which the experiment file names`,
    'ignoreIndex: 255 # pixels with this label value are not counted',
    ...(classes.reduceZeroLabel ? ['reduceZeroLabel: true # label 0 is no class: 1 is the first one'] : []),
    ...(replaced.length === 0
      ? []
      : [`labels: ${flow(replaced.map(([from, to]) => [from, String(to)]))} # how label values are read`]),
    ...(survey.colours.length > 0
      ? ['# A colour that means "no label" belongs here instead of among the classes: ignoreColours: [[0, 0, 0]]']
      : []),
    '',
    `# Images and labels, ${splitReading}. Folders are relative to the folder above; lists are beside this file.`,
    'splits:',
    ...splits,
    '',
    `# In the order of ${survey.colours.length > 0 ? 'their colours, which are those of the label maps' : 'their label values'}. Rename them as you like.`,
    'classes:',
    ...classes.names.map(
      (className, id) => `  - { name: ${scalar(className)}, colour: [${classes.palette[id]!.join(', ')}] }`,
    ),
    '',
  ].join('\n');
}

/** Longest side that images are fitted into: larger ones take more memory than most machines have. */
const LONGEST_SIDE = 1024;

/** The scale that images are fitted into: the size of all, or the median sides of images of several sizes. */
function imageScaleWh(sizes: Survey['sizes']): [number, number] {
  const each = sizes.flatMap(({ size, images }) => Array.from({ length: images }, () => size));
  const median = (side: (size: Size) => number) => each.map(side).sort((a, b) => a - b)[Math.floor(each.length / 2)]!;
  const [only] = sizes;
  const [width, height] =
    sizes.length === 1
      ? [only!.size.width, only!.size.height]
      : [median((size) => Math.max(size.width, size.height)), median((size) => Math.min(size.width, size.height))];
  const factor = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  return [Math.round(width * factor), Math.round(height * factor)];
}

/** The default of `training.batch`. */
const BATCH = 4;

/** A hundred passes over the training images, but neither too few to learn nor too many for a first try. */
function iterationsFor(images: number): number {
  return Math.min(20_000, Math.max(1000, Math.round((100 * images) / BATCH / 100) * 100));
}

/** The experiment file, with comments. */
export function experimentText({ name, dataRoot, classes, images, survey }: Description, row: string): string {
  const [width, height] = imageScaleWh(survey.sizes);
  const training = images['train'] ?? 0;
  const iterations = iterationsFor(training);
  const { cropHw } = withDefaults({ data: { imageScaleWh: [width, height] } })['data'] as { cropHw: number[] };
  const batch = Math.min(BATCH, Math.max(1, training));
  return [
    '# yaml-language-server: $schema=./schemas/experiment.json',
    `# FCN with a ResNet-18 on ${name}: ${training} training and ${images['val'] ?? 0} validation images.`,
    '# What is left out has a default; docs/keys.md of fcn lists all keys.',
    '',
    `dataRoot: ${scalar(dataRoot)} # the folder that holds the data set, relative to this file`,
    '',
    'recipe:',
    `  model: { classes: ${classes.names.length} } # as many as ${name}.yaml has`,
    `  # Images are fitted into this [width, height], and training takes crops of ${cropHw.join(' × ')} (height × width).`,
    `  data: { dataset: ${scalar(`${name}.yaml`)}, imageScaleWh: [${width}, ${height}] }`,
    `  training: { ${batch < BATCH ? `batch: ${batch}, ` : ''}iterations: ${iterations} } # of ${formatNumber(batch, 'image')}: ${Math.round((batch * iterations) / Math.max(1, training))} times each`,
    '',
    '# Training starts from a backbone that was trained on ImageNet. To start from random weights, add to a row',
    '# "recipe: { model: { pretrained: null } }". R-50-D8 and R-101-D8 are larger networks.',
    'rows:',
    `  - { id: ${scalar(row)}, parts: [R-18-D8] }`,
    '',
  ].join('\n');
}
