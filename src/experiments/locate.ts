import path from 'node:path';
import type { Recipe } from './schema.js';

/** What tells the path of a data set's description from the id of one of the package's. */
const DATASET_FILE = /\.ya?ml$/;
/** What tells the name of a published backbone from the path of a file. */
const PUBLISHED_BACKBONE = /^[a-z-]+:\/\//;

/**
 * A path that a file names, which is relative to that file's folder: as a path of the working folder where it lies inside, so
 * that a project's recipes are the same wherever the project is, and absolute elsewhere.
 */
function locate(named: string, file: string): string {
  const absolute = path.resolve(path.dirname(file), named);
  const relative = path.relative('', absolute);
  const isInside = !path.isAbsolute(relative) && relative.split(path.sep)[0] !== '..';
  return isInside ? relative.replaceAll(path.sep, '/') : absolute;
}

/**
 * The recipe of an experiment file with the paths in it, of a data set's description and of a pretrained backbone, as they are
 * found from the working folder. Names and ids stay.
 */
export function locateFiles({ data, model, ...rest }: Recipe, file: string): Recipe {
  const { pretrained } = model;
  return {
    ...rest,
    data: DATASET_FILE.test(data.dataset) ? { ...data, dataset: locate(data.dataset, file) } : data,
    model:
      pretrained === null || PUBLISHED_BACKBONE.test(pretrained)
        ? model
        : { ...model, pretrained: locate(pretrained, file) },
  };
}
