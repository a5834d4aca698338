import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../support/package.js';
import { checkYaml, parseYaml } from '../../support/yaml.js';
import { datasetSchema } from './schema.js';

const known = new Map<string, Readonly<Record<string, number>>>();

/**
 * Images of each split of a data set that the package describes, as published; empty where nothing says so, and of any other
 * data set.
 */
export function publishedImages(id: string): Readonly<Record<string, number>> {
  const file = path.join(packageRoot(), 'datasets', `${path.basename(id)}.yaml`);
  const found = known.get(id) ?? (existsSync(file) ? read(file) : {});
  known.set(id, found);
  return found;
}

function read(file: string): Readonly<Record<string, number>> {
  return checkYaml(parseYaml(readFileSync(file, 'utf8'), file), datasetSchema).published?.images ?? {};
}
