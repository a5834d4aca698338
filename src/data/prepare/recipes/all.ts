import { UserError } from '../../../support/errors.js';
import type { Recipe } from '../recipe.js';
import { cityscapes } from './cityscapes.js';
import { pascalContext } from './pascal-context.js';
import { ade20k, camvid } from './plain.js';
import { voc2012Aug } from './voc2012-aug.js';

/** The recipe of each data set; Pascal Context's two share theirs. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  ade20k,
  camvid,
  cityscapes,
  'pascal-context': pascalContext,
  'pascal-context-59': pascalContext,
  'voc2012-aug': voc2012Aug,
};

/** Ids of the data sets that can be prepared. */
export const PREPARABLE: readonly string[] = Object.keys(RECIPES);

/** @throws UserError for a data set that has none. */
export function recipeOf(dataset: string): Recipe {
  const recipe = RECIPES[dataset];
  if (recipe) return recipe;
  throw new UserError(`No preparation is known for "${dataset}".`, `Give one of ${PREPARABLE.join(', ')}.`);
}
