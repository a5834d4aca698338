import path from 'node:path';
import { datasetJsonSchema } from '../../data/description.js';
import { experimentJsonSchema, namePart } from '../../recipe/experiment.js';
import { UserError } from '../../support/errors.js';
import { assertWritable, isFolder } from '../../support/files.js';
import { formatNumber, listNames, shellWords } from '../../support/format.js';
import { wrap } from '../../terminal/layout.js';
import { type ProposedClasses, proposeClasses } from './classes.js';
import { ambiguities, type FoundPairs, findPairs } from './pairs.js';
import { type NewFile, placeSources, slashes, writeFiles } from './places.js';
import { type ProposedSplits, proposeSplits, type SplitChoice } from './splits.js';
import { type Survey, surveyPairs } from './survey.js';
import { type Description, datasetText, experimentText } from './texts.js';

interface InitOptions extends SplitChoice {
  /** Where the files are written. */
  readonly directory: string;
  readonly images: string;
  readonly labels: string;
  /** Of the data set; default: the name of the directory. */
  readonly name?: string | undefined;
  readonly classes?: readonly string[] | undefined;
  /** `fraction` as it was typed, for messages. */
  readonly typedFraction?: string | undefined;
  /** Replace files that are there already. */
  readonly force: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** What was found and written. */
export interface Initialised {
  readonly name: string;
  readonly row: string;
  readonly datasetFile: string;
  readonly experimentFile: string;
  readonly files: readonly string[];
  readonly dataRoot: string;
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  readonly sizes: Survey['sizes'];
  readonly classes: readonly string[];
  readonly labelReading: string;
  readonly splitReading: string;
  readonly warnings: readonly string[];
}

/** Most files that a sentence names. */
const MOST_NAMED = 5;

/** "3 images have no label: a.jpg, b.jpg and c.jpg". */
function named(files: readonly string[], one: string, many: string): string {
  const more = files.length - MOST_NAMED;
  const shown = more > 0 ? [...files.slice(0, MOST_NAMED), `${more} more`] : files;
  return `${files.length === 1 ? one : `${files.length} ${many}`}: ${listNames(shown)}`;
}

/** @throws UserError that names all mistakes, if there are any. */
function refuse(mistakes: readonly string[]): void {
  if (mistakes.length === 0) return;
  const shown = mistakes.length > 2 * MOST_NAMED ? mistakes.slice(0, 2 * MOST_NAMED) : mistakes;
  const more = mistakes.length - shown.length;
  const lines = more > 0 ? [...shown, `… and ${more} more.`] : shown;
  throw new UserError(
    mistakes.length === 1
      ? mistakes[0]!
      : `Nothing was written: ${mistakes.length} things are wrong.\n${lines.map((line) => `  ✗ ${line}`).join('\n')}`,
    'Correct that and run the same command again.',
  );
}

/** Id of the experiment's row. */
const rowOf = (name: string) => `${name}_r18-d8`;

/** What is wrong with the folders and names that were given. */
async function optionMistakes(options: InitOptions): Promise<string[]> {
  const { directory, images, labels, name, classes, fraction, typedFraction = String(fraction) } = options;
  const mistakes: string[] = [];
  if (directory === '') mistakes.push('The name of the folder to write to is empty.');
  for (const [flag, folder] of [
    ['--images', images],
    ['--labels', labels],
  ] as const) {
    if (!(await isFolder(folder))) mistakes.push(`${flag} ${folder}: there is no such folder.`);
  }
  const unwritable = await assertWritable(directory).catch((error: unknown) => error);
  if (unwritable instanceof UserError) mistakes.push(unwritable.message);
  else if (unwritable !== undefined) throw unwritable;
  if (!namePart.safeParse(rowOf(name ?? path.basename(path.resolve(directory)))).success) {
    const whose = name === undefined ? `the name of ${directory}` : `--name ${name}`;
    mistakes.push(
      `${whose}: a data set's name has only letters, digits, ".", "_" and "-", and at most 120 of them. Give one with --name.`,
    );
  }
  if (name === 'experiment')
    mistakes.push(`--name ${name}: experiment.yaml is the name of the other file. Give another.`);
  if (classes?.some((one) => one === '') === true) mistakes.push('--classes: a name is empty.');
  if (fraction !== undefined && !(fraction > 0 && fraction < 1)) {
    mistakes.push(`--val-fraction ${shellWords([typedFraction])}: expected a number between 0 and 1, such as 0.2.`);
  }
  return mistakes;
}

/** What is wrong with pairs of images and labels: fewer than half of the images have a label, or it is not clear which one. */
function pairMistakes(found: FoundPairs, { images, labels }: InitOptions): string[] {
  if (found.images.length === 0) return [`--images ${images}: no JPEG, PNG or BMP is in it.`];
  if (found.labels.length === 0) return [`--labels ${labels}: no PNG is in it. Label maps must be PNGs.`];
  const alone = found.imagesWithoutLabel;
  const paired = found.images.length - alone.length;
  if (paired > 0 && paired >= alone.length) return ambiguities(found);
  if (path.relative(images, labels) === '') {
    const few = paired === 0 ? 'no image has' : `only ${paired === 1 ? '1 image has' : `${paired} images have`}`;
    return [
      `--images and --labels are one folder, ${images}, in which ${few} a label beside it, ` +
        `as a.jpg and a.png or a.png and a_mask.png: there are ${alone.slice(0, 3).join(', ')}.`,
    ];
  }
  return [
    `Only ${paired} of ${found.images.length} images have a label of the same name: ` +
      `there are ${alone.slice(0, 2).join(' and ')} among the images, ${found.labels.slice(0, 2).join(' and ')} among the labels.`,
  ];
}

function partnerWarnings({ imagesWithoutLabel, labelsWithoutImage }: FoundPairs): string[] {
  return [
    ...(imagesWithoutLabel.length === 0
      ? []
      : [
          `${named(imagesWithoutLabel, '1 image has no label and is left out', 'images have no label and are left out')}.`,
        ]),
    ...(labelsWithoutImage.length === 0
      ? []
      : [`${named(labelsWithoutImage, '1 label belongs to no image', 'labels belong to no image')}.`]),
  ];
}

/** What is wrong with images that no line of a list can name. */
function listMistakes(images: readonly string[]): string[] {
  if (images.length === 0) return [];
  const names = named(
    [...images].sort().map((image) => JSON.stringify(image)),
    '1 image cannot be named in a list',
    'images cannot be named in a list',
  );
  const why = 'The lists of splits have a name without its suffix on each line';
  return [
    `${names}. ${why}: it must not begin or end with a space, hold a line break or a backslash, or begin as a drive does ("c:").`,
  ];
}

function sizeWarnings({ sizes }: Survey): string[] {
  if (sizes.length < 2) return [];
  const shown = sizes.slice(0, 3).map(({ size, images }) => `${images} of ${size.width}×${size.height}`);
  const more = sizes.length > 3 ? ', …' : '';
  return [`Images have ${sizes.length} sizes (${shown.join(', ')}${more}): all are fitted into one scale.`];
}

/** Says where to name classes that are only numbered. */
const nameHints = ({ names }: ProposedClasses, { classes }: InitOptions): string[] =>
  classes !== undefined || names.length === 2
    ? []
    : [`The classes have no names yet: give them with --classes, or write them into the data set's file.`];

function countImages({ sources }: ProposedSplits): Record<string, number> {
  const images: Record<string, number> = {};
  for (const { split, names } of sources) images[split] = (images[split] ?? 0) + names.length;
  return images;
}

/** The files that describe the data set and an experiment on it. */
function newFiles(options: InitOptions, description: Description, row: string, lists: readonly NewFile[]): NewFile[] {
  const file = (...parts: string[]) => path.join(options.directory, ...parts);
  const json = (schema: object) => `${JSON.stringify(schema, null, 2)}\n`;
  return [
    { file: file(`${description.name}.yaml`), text: datasetText(description) },
    { file: file('experiment.yaml'), text: experimentText(description, row) },
    ...lists,
    { file: file('schemas', 'dataset.json'), text: json(datasetJsonSchema()) },
    { file: file('schemas', 'experiment.json'), text: json(experimentJsonSchema('table')) },
  ];
}

/**
 * Looks at a folder of images and one of labels, and writes what a training on them needs: the data set's file, an experiment file,
 * lists of the splits unless folders make them, and the schemas of both files for editors.
 * @throws UserError that names all mistakes at once; nothing is written then.
 */
export async function initialise(options: InitOptions): Promise<Initialised> {
  const { directory, images, labels, signal, onProgress } = options;
  const wrong = await optionMistakes(options);
  refuse(wrong);
  const pairs = await findPairs(images, labels);
  refuse(pairMistakes(pairs, options));
  const survey = await surveyPairs({
    imageFolder: images,
    labelFolder: labels,
    groups: pairs.groups,
    signal,
    onProgress,
  });
  const classes = survey.problems.length > 0 ? null : proposeClasses(survey, options.classes);
  const splits = await proposeSplits(pairs.groups, options);
  const needsLists = pairs.imagesWithoutLabel.length > 0;
  const { dataRoot, folder, sources, listFiles, unlistable } = placeSources(options, splits, needsLists);
  refuse([
    ...survey.problems,
    ...(classes !== null && 'mistakes' in classes ? classes.mistakes : []),
    ...splits.mistakes,
    ...listMistakes(unlistable),
  ]);
  const name = options.name ?? path.basename(path.resolve(directory));
  const proposed = classes as ProposedClasses;
  const description: Description = {
    name,
    dataRoot: slashes(path.relative(path.resolve(directory), dataRoot)),
    folder,
    classes: proposed,
    sources,
    images: countImages(splits),
    splitReading: splits.reading,
    survey,
  };
  const row = rowOf(name);
  const files = newFiles(options, description, row, listFiles);
  await writeFiles(files, options.force);
  return {
    name,
    row,
    datasetFile: files[0]!.file,
    experimentFile: files[1]!.file,
    files: files.map(({ file }) => file),
    dataRoot,
    images: description.images,
    sizes: survey.sizes,
    classes: proposed.names,
    labelReading: proposed.reading,
    splitReading: splits.reading,
    warnings: [
      ...partnerWarnings(pairs),
      ...sizeWarnings(survey),
      ...proposed.warnings,
      ...nameHints(proposed, options),
    ],
  };
}

/** Wrapped lines after a head, all below each other. */
function entry(head: string, text: string, width: number): string[] {
  return wrap(text, width - head.length).map((line, i) => (i === 0 ? head : ' '.repeat(head.length)) + line);
}

/**
 * What was found and written, for a terminal, without the next commands.
 * @param width Maximum characters in a line, except of names of files.
 */
export function formatInitialised(
  { name, images, sizes, classes, labelReading, splitReading, warnings, files }: Initialised,
  width: number,
): string {
  const splits = Object.entries(images).map(([split, count]) => `${count} ${split}`);
  const total = Object.values(images).reduce((sum, count) => sum + count, 0);
  const [only] = sizes;
  const size = sizes.length === 1 ? `, ${only!.size.width}×${only!.size.height} pixels` : '';
  const named = listNames(classes.length > 8 ? [...classes.slice(0, 7), `${classes.length - 7} more`] : classes);
  return [
    `${name}: ${formatNumber(total, 'image')} with labels${size}`,
    ...entry('  splits   ', `${splits.join(', ')} (${splitReading})`, width),
    ...entry('  labels   ', labelReading, width),
    ...entry('  classes  ', named, width),
    ...warnings.flatMap((warning) => entry('  ! ', warning, width)),
    '',
    ...files.map((file) => `wrote ${file}`),
  ].join('\n');
}
