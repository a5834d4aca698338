import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { fileJsonSchema } from '../support/json-schema.js';
import { packageRoot } from '../support/package.js';
import { nearest } from '../support/suggest.js';
import { checkYaml, parseYaml, readYaml, type YamlFile } from '../support/yaml.js';
import { type Dataset, EVIDENCE, type PublishedCounts } from './dataset.js';

const byte = z.int().min(0).max(255);

/** Red, green, blue. */
const colour = z.tuple([byte, byte, byte]);

/** A path inside the data set's folder. */
const inside = z
  .string()
  .min(1)
  .refine((path) => !/^([/\\]|[A-Za-z]:)/.test(path) && !path.split(/[/\\]/).includes('..'), {
    message: 'expected a path relative to the data set\'s folder, without ".."',
  });

const source = z.strictObject({
  images: inside.describe("Folder of the images, relative to the data set's folder; subfolders are searched too."),
  labels: inside.describe('Folder of the label maps, in the same way.'),
  imageSuffix: z.string().min(1).describe('End of the names of images: NAME and this is an image.'),
  labelSuffix: z
    .string()
    .min(1)
    .describe('End of the names of label maps: NAME and this is the label of the same NAME.'),
  list: inside
    .optional()
    .describe(
      'File with one NAME a line, in the same way or, if it begins with "./", relative to this file: only these are taken. ' +
        'Default: all images.',
    ),
});

const positive = z.int().min(1);

const counts = z.strictObject({
  images: z.record(z.string(), positive).describe('Number of images of each split.'),
  evidence: z.enum(EVIDENCE).optional().describe('Who has seen these numbers.'),
  readIn: z.string().min(1).optional().describe('Where they were read.'),
});

const published = counts.extend({
  size: z
    .tuple([positive, positive])
    .optional()
    .describe('[height, width] in pixels if all images have the same size.'),
  otherSources: z
    .record(z.string(), counts)
    .optional()
    .describe('Other downloads that the data set can be made of, by name.'),
});

/** A file in datasets/. The data set's id is the file's name. */
const datasetSchema = z
  .strictObject({
    name: z.string().min(1).describe('As shown in messages.'),
    folder: inside.describe('Folder of the data set under the data root; "." is the data root itself.'),
    ignoreIndex: byte.default(255).describe('Label value of pixels that are not counted.'),
    reduceZeroLabel: z
      .boolean()
      .default(false)
      .describe('Whether label 0 is no class: 0 is ignored, and k becomes class k − 1.'),
    labels: z
      .record(z.string(), byte)
      .optional()
      .describe(
        'Label values that stand for others: { 255: 1 } reads 255 as 1. Each pixel is replaced once, before all else.',
      ),
    ignoreColours: z
      .array(colour)
      .min(1)
      .optional()
      .describe('[red, green, blue] of pixels that are not counted, if label maps are images of colours.'),
    obtain: z
      .string()
      .min(1)
      .default('Check the folders in the description of the data set.')
      .describe('How to get the data; shown if a folder is missing.'),
    published: published.optional().describe('What the publication says; fcn datasets verify compares with it.'),
    splits: z
      .record(z.string(), z.array(source).min(1))
      .describe('Sources of each split, train and val, read one after the other.'),
    // 255 is reserved for unlabelled pixels.
    classes: z
      .array(
        z.strictObject({
          name: z.string().min(1).describe('As shown in tables and legends.'),
          colour: colour.describe('[red, green, blue], 0 to 255.'),
        }),
      )
      .min(1)
      .max(255)
      .describe('In the order of their ids, from 0.'),
  })
  .superRefine((value, context) => {
    const report = (path: (string | number)[], message: string, params?: { got: string }) =>
      context.addIssue({ code: 'custom', path, message, ...(params && { params }) });
    const { classes, published, splits, reduceZeroLabel, ignoreIndex, labels = {}, ignoreColours = [] } = value;
    for (const [index, { name }] of classes.entries()) {
      if (classes.findIndex((one) => one.name === name) < index) {
        report(['classes', index, 'name'], `two classes are called "${name}"`);
      }
    }
    const counted = [
      { path: ['published'], images: published?.images ?? {} },
      ...Object.entries(published?.otherSources ?? {}).map(([source, { images }]) => ({
        path: ['published', 'otherSources', source],
        images,
      })),
    ];
    for (const { path, images } of counted) {
      for (const split of Object.keys(images).filter((name) => !(name in splits))) {
        report([...path, 'images', split], `no such split; known: ${Object.keys(splits).join(', ')}`);
      }
    }
    const last = classes.length - (reduceZeroLabel ? 0 : 1);
    if (ignoreIndex <= last) report(['ignoreIndex'], `expected a value that is no label: labels are 0 to ${last}`);
    for (const [from, to] of Object.entries(labels)) {
      if (!/^[0-9]{1,3}$/.test(from) || Number(from) > 255) {
        report(['labels', from], 'expected a label value, 0 to 255, before the colon', { got: from });
      } else if (to > last && to !== ignoreIndex) {
        report(['labels', from], `expected a value with a meaning: 0 to ${last}, or ${ignoreIndex} (ignored)`);
      }
    }
    for (const [index, ignored] of ignoreColours.entries()) {
      const same = classes.find(({ colour }) => String(colour) === String(ignored));
      if (same) report(['ignoreColours', index], `expected a colour of no class: it is that of "${same.name}"`);
    }
  });

/** JSON Schema of a data set's file, for editors. */
export function datasetJsonSchema(): object {
  return fileJsonSchema(datasetSchema, 'fcn: a data set');
}

const EXTENSION = /\.ya?ml$/;

function toCounts({ images, evidence, readIn }: z.infer<typeof counts>): PublishedCounts {
  return { images, evidence: evidence ?? null, readIn: readIn ?? null };
}

/** A list beside the description that names it has an absolute path; any other stays relative to the data set's folder. */
const listFile = (description: string, list: string) =>
  list.startsWith('./') ? path.resolve(path.dirname(description), list) : list;

/** @throws UserError naming file and line of a mistake in the file. */
function toDataset(yaml: YamlFile): Dataset {
  const { classes, published, splits, labels, ignoreColours, ...rest } = checkYaml(yaml, datasetSchema);
  const [height, width] = published?.size ?? [];
  return {
    ...rest,
    ...(labels && { labels }),
    ...(ignoreColours && { ignoreColours }),
    id: path.basename(yaml.file).replace(EXTENSION, ''),
    classes: classes.map(({ name }) => name),
    palette: classes.map(({ colour }) => colour),
    published: published
      ? {
          ...toCounts(published),
          size: height === undefined || width === undefined ? null : { height, width },
          otherSources: Object.fromEntries(
            Object.entries(published.otherSources ?? {}).map(([source, others]) => [source, toCounts(others)]),
          ),
        }
      : null,
    splits: Object.fromEntries(
      Object.entries(splits).map(([split, sources]) => [
        split,
        sources.map(({ list, ...source }) => ({
          ...source,
          list: list === undefined ? null : listFile(yaml.file, list),
        })),
      ]),
    ),
  };
}

const packagedFile = (id: string) => path.join(packageRoot(), 'datasets', `${id}.yaml`);

/** Ids of the data sets that the package describes, sorted. */
export async function datasetIds(): Promise<string[]> {
  const files = await readdir(path.join(packageRoot(), 'datasets'));
  return files
    .filter((file) => EXTENSION.test(file))
    .map((file) => file.replace(EXTENSION, ''))
    .sort();
}

/**
 * Reads the description of a data set: one of the package's by its id, or any YAML file by its path.
 * @throws UserError for an unknown id, or naming file and line of a mistake in the file.
 */
export async function loadDataset(idOrFile: string): Promise<Dataset> {
  if (EXTENSION.test(idOrFile)) return toDataset(await readYaml(idOrFile));
  const known = await datasetIds();
  if (known.includes(idOrFile)) return toDataset(await readYaml(packagedFile(idOrFile)));
  const near = nearest(idOrFile, known);
  throw new UserError(
    `No data set is called "${idOrFile}". Known: ${known.join(', ')}.`,
    near ? `Did you mean ${near}?` : 'Give one of these, or the path of a YAML file that describes yours.',
  );
}

const described = new Map<string, Dataset>();

/** The package's own description of a data set, read synchronously and only once; null for any other data set. */
export function describedDataset(id: string): Dataset | null {
  const file = packagedFile(path.basename(id));
  if (!described.has(id) && existsSync(file)) described.set(id, toDataset(parseYaml(readFileSync(file, 'utf8'), file)));
  return described.get(id) ?? null;
}

/** Published images of each split of a data set that the package describes; empty if unknown, and for any other data set. */
export function publishedImages(id: string): Readonly<Record<string, number>> {
  return describedDataset(id)?.published?.images ?? {};
}
