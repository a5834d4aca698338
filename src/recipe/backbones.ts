import path from 'node:path';
import { checkYaml, readYaml } from '../support/yaml.js';
import { BACKBONE_LINK, backbonesFileSchema, type ModelRecipe } from './experiment.js';
import { withoutFolders } from './named-files.js';
import { type RecipeSections, recipeValues } from './overrides.js';
import { BACKBONES_FILE, experimentsFolder } from './tables.js';

/** A published ImageNet backbone. */
export interface Backbone {
  /** As recipes have it: open-mmlab://resnet50_v1c, or a link. */
  readonly name: string;
  /** The file that is fetched. */
  readonly link: string;
  /** Its size; null if it is not known. */
  readonly bytes: number | null;
  /** Links to other files of the same network, which do as well. */
  readonly alternatives: readonly string[];
}

/** The published backbones, in the file's order. */
export async function loadBackbones(): Promise<Backbone[]> {
  const { backbones } = checkYaml(await readYaml(path.join(experimentsFolder(), BACKBONES_FILE)), backbonesFileSchema);
  return Object.entries(backbones).map(([name, { link, bytes = null, alsoAccepted }]) => ({
    name,
    link,
    bytes,
    alternatives: alsoAccepted === undefined ? [] : [alsoAccepted],
  }));
}

/** The backbone that is published under this name, which may also be its link itself; null if there is none. */
export async function findBackbone(name: string): Promise<Backbone | null> {
  if (BACKBONE_LINK.test(name)) return { name, link: name, bytes: null, alternatives: [] };
  return (await loadBackbones()).find((backbone) => backbone.name === name) ?? null;
}

/** The backbone that training starts from; null without one, also if initial weights of the whole network take its place. */
export function backboneOf({ pretrained, initialWeights = null }: ModelRecipe): string | null {
  return initialWeights === null ? pretrained : null;
}

/** The values of a recipe by full path, to show: `model.pretrained` is null if initial weights take the backbone's place. */
export function usedValues(recipe: RecipeSections): Map<string, unknown> {
  const values = recipeValues(recipe);
  if ((values.get('model.initialWeights') ?? null) !== null) values.set('model.pretrained', null);
  return values;
}

/** The used values of a recipe by full path, of files their names: as recipes are compared and told apart. */
export function comparedValues(recipe: RecipeSections): Map<string, unknown> {
  return usedValues(withoutFolders(recipe));
}
