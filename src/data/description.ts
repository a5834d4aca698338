import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { packageRoot } from '../support/package.js';
import { nearest } from '../support/suggest.js';
import { checkYaml, parseYaml, readYaml } from '../support/yaml.js';
import { type Dataset, EVIDENCE, type PublishedCounts } from './dataset.js';

const byte = z.int().min(0).max(255);

/** Red, green, blue. */
const colour = z.tuple([byte, byte, byte]);

/** A folder or file inside the data set's folder: relative, and not out of it. */
const inside = z
  .string()
  .min(1)
  .refine((path) => !/^([/\\]|[A-Za-z]:)/.test(path) && !path.split(/[/\\]/).includes('..'), {
    message: 'expected a path relative to the data set\'s folder, without ".."',
  });

const source = z.strictObject({
  images: inside,
  labels: inside,
  imageSuffix: z.string().min(1),
  labelSuffix: z.string().min(1),
  list: inside.optional(),
});

const positive = z.int().min(1);

const counts = z.strictObject({
  images: z.record(z.string(), positive),
  evidence: z.enum(EVIDENCE).optional(),
  readIn: z.string().min(1).optional(),
});

const published = counts.extend({
  // [height, width]
  size: z.tuple([positive, positive]).optional(),
  otherSources: z.record(z.string(), counts).optional(),
});

/** What a file in datasets/ looks like. The id is the file's name. */
const datasetSchema = z
  .strictObject({
    name: z.string().min(1),
    folder: inside,
    ignoreIndex: byte,
    reduceZeroLabel: z.boolean(),
    labels: z.record(z.string(), byte).optional(),
    ignoreColours: z.array(colour).min(1).optional(),
    obtain: z.string().min(1),
    published: published.optional(),
    splits: z.record(z.string(), z.array(source).min(1)),
    // 255 is kept for pixels without a label.
    classes: z
      .array(z.strictObject({ name: z.string().min(1), colour }))
      .min(1)
      .max(255),
  })
  .superRefine((value, context) => {
    const seen = new Set<string>();
    for (const [index, { name }] of value.classes.entries()) {
      if (seen.has(name)) {
        context.addIssue({
          code: 'custom',
          path: ['classes', index, 'name'],
          message: `the class "${name}" is there twice`,
        });
      }
      seen.add(name);
    }
    const others = Object.entries(value.published?.otherSources ?? {});
    const counted = [
      { path: ['published'], images: value.published?.images ?? {} },
      ...others.map(([source, { images }]) => ({ path: ['published', 'otherSources', source], images })),
    ];
    for (const { path, images } of counted) {
      for (const split of Object.keys(images)) {
        if (split in value.splits) continue;
        const known = Object.keys(value.splits).join(', ');
        context.addIssue({
          code: 'custom',
          path: [...path, 'images', split],
          message: `no such split; known: ${known}`,
        });
      }
    }
    const last = value.classes.length - (value.reduceZeroLabel ? 0 : 1);
    if (value.ignoreIndex <= last) {
      context.addIssue({
        code: 'custom',
        path: ['ignoreIndex'],
        message: `expected a value that is no label: labels are 0 to ${last}`,
      });
    }
    for (const [from, to] of Object.entries(value.labels ?? {})) {
      const path = ['labels', from];
      if (!/^[0-9]{1,3}$/.test(from) || Number(from) > 255) {
        const message = 'expected a label value, 0 to 255, before the colon';
        context.addIssue({ code: 'custom', path, message, params: { got: from } });
      } else if (to > last && to !== value.ignoreIndex) {
        const message = `expected a value that means something: 0 to ${last}, or ${value.ignoreIndex} (ignored)`;
        context.addIssue({ code: 'custom', path, message });
      }
    }
    for (const [index, ignored] of (value.ignoreColours ?? []).entries()) {
      const same = value.classes.find(({ colour }) => String(colour) === String(ignored));
      if (same === undefined) continue;
      const message = `expected a colour of no class: it is that of "${same.name}"`;
      context.addIssue({ code: 'custom', path: ['ignoreColours', index], message });
    }
  });

function toCounts({ images, evidence, readIn }: z.infer<typeof counts>): PublishedCounts {
  return { images, evidence: evidence ?? null, readIn: readIn ?? null };
}

/** The checked file as the rest of the program uses it. */
function toDataset(id: string, value: z.infer<typeof datasetSchema>): Dataset {
  const { classes, published, splits, labels, ignoreColours, ...rest } = value;
  const [height, width] = published?.size ?? [];
  return {
    ...rest,
    ...(labels && { labels }),
    ...(ignoreColours && { ignoreColours }),
    id,
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
        sources.map((source) => ({ ...source, list: source.list ?? null })),
      ]),
    ),
  };
}

const EXTENSION = /\.ya?ml$/;

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
  let file = idOrFile;
  if (!EXTENSION.test(idOrFile)) {
    const known = await datasetIds();
    if (!known.includes(idOrFile)) {
      const near = nearest(idOrFile, known);
      throw new UserError(
        `No data set is called "${idOrFile}". Known: ${known.join(', ')}.`,
        near ? `Did you mean ${near}?` : 'Give one of these, or the path of a YAML file that describes yours.',
      );
    }
    file = path.join(packageRoot(), 'datasets', `${idOrFile}.yaml`);
  }
  const yaml = await readYaml(file);
  return toDataset(path.basename(file).replace(EXTENSION, ''), checkYaml(yaml, datasetSchema));
}

/** What the package says about a data set. */
interface DescribedDataset {
  /** Names of the classes, in their order. */
  readonly classes: readonly string[];
  /** Images of each split, as published; empty where nothing says so. */
  readonly images: Readonly<Record<string, number>>;
}

const known = new Map<string, DescribedDataset | null>();

/** What the package says about a data set of its own, read once, at once; null of any other data set. */
export function describedDataset(id: string): DescribedDataset | null {
  const file = path.join(packageRoot(), 'datasets', `${path.basename(id)}.yaml`);
  const found = known.get(id) ?? (existsSync(file) ? read(file) : null);
  known.set(id, found);
  return found;
}

function read(file: string): DescribedDataset {
  const { classes, published } = checkYaml(parseYaml(readFileSync(file, 'utf8'), file), datasetSchema);
  return { classes: classes.map(({ name }) => name), images: published?.images ?? {} };
}

/**
 * Images of each split of a data set that the package describes, as published; empty where nothing says so, and of any other
 * data set.
 */
export function publishedImages(id: string): Readonly<Record<string, number>> {
  return describedDataset(id)?.images ?? {};
}
