import { z } from 'zod';
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
export const datasetSchema = z
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
        context.addIssue({ code: 'custom', path, message: 'expected a label value, 0 to 255, before the colon' });
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

function toCounts({ images, evidence = 'unconfirmed', readIn }: z.infer<typeof counts>): PublishedCounts {
  return { images, evidence, readIn: readIn ?? null };
}

/** The checked file as the rest of the program uses it. */
export function toDataset(id: string, value: z.infer<typeof datasetSchema>): Dataset {
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
