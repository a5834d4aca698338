// Prints all adapters as JSON, or why WebGPU cannot be loaded. Its argument is the folder of the installed package. `lookAtAdapters` starts
// it as a process of its own.
import { UserError } from '../../support/errors.js';
import { findAdapters } from './adapters.js';

async function list(folder: string): Promise<object> {
  try {
    const found = await findAdapters(folder);
    return { adapters: found.map(({ description }) => description), failure: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { adapters: [], failure: { message: error.message, next: error.next ?? '' } };
  }
}

// On a line of its own, the last one: Dawn may print, too.
process.stdout.write(`\n${JSON.stringify(await list(process.argv[2]!))}\n`);
