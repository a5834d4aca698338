import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { packageRoot } from '../../support/package.js';
import { nearest } from '../../support/suggest.js';
import { checkYaml, readYaml } from '../../support/yaml.js';
import type { Dataset } from './dataset.js';

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
  const { datasetSchema, toDataset } = await import('./schema.js');
  return toDataset(path.basename(file).replace(EXTENSION, ''), checkYaml(yaml, datasetSchema));
}
