import { type PreparationKey, readPrepared, readPreparing } from '../../data/markers.js';

/** What tells one preparation from another, whatever else is told of the inputs. */
const keyOf = ({ dataset, version, inputs }: PreparationKey) =>
  JSON.stringify([dataset, version, inputs.map(({ name, bytes, sha256 }) => [name, bytes, sha256])]);
/** Whether two preparations make the same files of the same downloads. */
export const sameKey = (a: PreparationKey, b: PreparationKey) => keyOf(a) === keyOf(b);

/** Whether a folder was prepared from these downloads, or a preparation of them was begun there. */
export async function isKnownPreparation(folder: string, key: PreparationKey): Promise<boolean> {
  const known = [await readPrepared(folder), await readPreparing(folder)];
  return known.some((one) => one !== null && sameKey(one, key));
}
