import { statSync } from 'node:fs';
import path from 'node:path';
import type { Recipe } from './experiment.js';
import { type RecipeSections, recipeValues, replaceValue } from './overrides.js';

/** The path of a data set's description, not an id. */
const DATASET_FILE = /\.ya?ml$/;
/** The name of a published backbone, not the path of a file. */
const PUBLISHED_BACKBONE = /^[a-z-]+:\/\//;

/** The path of a weights file, not `published`, the name of a run, or the hash of a file. */
const WEIGHTS_FILE = /^\.{0,2}[/\\]|\.(pth|pt|ckpt|bin|safetensors)$/;

/** The values of a recipe that may be the path of a file, and whether such a value is a path, relative to a folder. */
const FILE_VALUES: Readonly<Record<string, (value: string, folder: string) => boolean>> = {
  'data.dataset': (value) => DATASET_FILE.test(value),
  'model.pretrained': (value) => !PUBLISHED_BACKBONE.test(value),
  'model.initialWeights': (value, folder) =>
    WEIGHTS_FILE.test(value) || statSync(path.resolve(folder, value), { throwIfNoEntry: false })?.isFile() === true,
};

function isFile(key: string, value: unknown, folder = ''): value is string {
  return typeof value === 'string' && FILE_VALUES[key]?.(value, folder) === true;
}

/** The files that a recipe names, by their key. @param folder What relative paths are relative to; default: the working folder. */
export function namedFiles(recipe: RecipeSections, folder = ''): Map<string, string> {
  const values = recipeValues(recipe);
  return new Map(
    Object.keys(FILE_VALUES).flatMap((key) => {
      const value = values.get(key);
      return isFile(key, value, folder) ? [[key, value]] : [];
    }),
  );
}

/**
 * Makes the paths in a recipe absolute, so that commands find the files from any working folder. Names and ids stay.
 * @param folder What relative paths are relative to: the folder of the experiment file or, for typed values, the working folder.
 */
export function locateFiles<R extends Recipe>(recipe: R, folder: string): R {
  return [...namedFiles(recipe, folder)].reduce(
    (located, [key, file]) => replaceValue(located, key, path.resolve(folder, file)),
    recipe,
  );
}

/**
 * A value of a recipe as it identifies the recipe: of a file only the name. Where the file is differs between machines and
 * projects; what it says is part of a run's identity (`RunIdentity`).
 */
export function identifyingValue(key: string, value: unknown): unknown {
  return isFile(key, value) ? path.basename(value.replaceAll('\\', '/')) : value;
}

/** A recipe with the names of its files only. */
export function withoutFolders<R extends RecipeSections>(recipe: R): R {
  return [...namedFiles(recipe)].reduce(
    (named, [key, file]) => replaceValue(named, key, identifyingValue(key, file)),
    recipe,
  );
}
