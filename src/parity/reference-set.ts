import path from 'node:path';
import { UserError } from '../support/errors.js';
import { packageRoot } from '../support/package.js';
import { ReferenceFolder } from './folder.js';

/** The parts of a set beside its networks, each a folder of that name. */
export const OTHER_PARTS = ['pipeline', 'metrics', 'checkpoints'] as const;
export type OtherPart = (typeof OTHER_PARTS)[number];

/** What of a set is there. */
export interface ReferenceSet {
  readonly root: ReferenceFolder;
  /** One network each, in the order of their names. */
  readonly networks: readonly ReferenceFolder[];
  readonly parts: readonly OtherPart[];
}

/** Folder of the reference arrays that are part of the package. */
export function shippedSet(): string {
  return path.join(packageRoot(), 'reference');
}

/**
 * Opens a set: a folder with `cases`, `pipeline`, `metrics` or `checkpoints` in it, a folder of network cases, or one case.
 * @throws UserError when there is nothing of that kind in it, or a case has no `meta.json`.
 */
export function openSet(directory: string): ReferenceSet {
  const root = ReferenceFolder.open(directory);
  if (root.has('meta.json')) return { root, networks: [root], parts: [] };
  const { folders } = root.list();
  const parts = OTHER_PARTS.filter((part) => folders.includes(part));
  const cases = folders.includes('cases') ? root.folder('cases') : root;
  const found = cases.list().folders.map((name) => cases.folder(name));
  if (cases === root && (parts.length > 0 || !found.some((folder) => folder.has('meta.json')))) {
    if (parts.length > 0) return { root, networks: [], parts };
    throw new UserError(
      `${directory} holds no reference data: expected folders named cases, ${OTHER_PARTS.join(', ')}, or a meta.json.`,
    );
  }
  const without = found.find((folder) => !folder.has('meta.json'));
  if (without !== undefined) throw new UserError(`${without.path} is no reference case: it has no meta.json.`);
  return { root, networks: found, parts };
}

/** The names of everything in a set that can be chosen. */
export function caseNames({ networks, parts }: ReferenceSet): string[] {
  return [...networks.map(({ name }) => name), ...parts];
}
