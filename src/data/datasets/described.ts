import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../support/package.js';
import { checkYaml, parseYaml } from '../../support/yaml.js';
import { datasetSchema } from './schema.js';

/** What the package says about a data set. */
export interface DescribedDataset {
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
