import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { SYNTHETIC_MARKER } from '../datasets/synthetic.js';

/**
 * Marks the folder as one of synthetic data of these settings.
 * @param flag Where the user chooses the folder.
 * @throws UserError where it holds other data.
 */
export async function claimFolder(directory: string, settings: object, flag: string): Promise<void> {
  const marker = path.join(directory, SYNTHETIC_MARKER);
  const content = `${JSON.stringify(settings, null, 2)}\n`;
  let held: string[];
  try {
    held = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, directory, 'read');
    held = [];
  }
  if (held.includes(SYNTHETIC_MARKER)) {
    if ((await readFile(marker, 'utf8')) === content) return;
    throw new UserError(
      `${directory} holds synthetic data made with other settings (see ${marker}).`,
      `Use the same number of images, size and seed, remove the folder, or choose another with ${flag}.`,
    );
  }
  if (held.length > 0) {
    throw new UserError(
      `${directory} holds data that was not generated here (${held.slice(0, 3).join(', ')}).`,
      `Synthetic data is not mixed with other data: choose another folder with ${flag}.`,
    );
  }
  await writeFileAtomic(marker, content);
}
