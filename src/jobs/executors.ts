import { UserError } from '../support/errors.js';
import type { Executor } from './executor.js';
import type { ExecutorName } from './job.js';
import { localExecutor } from './local/executor.js';

/** The executor of a name. */
export function executorOf(name: ExecutorName): Executor {
  if (name === 'local') return localExecutor;
  throw new UserError(`This version of fcn has no executor ${name}.`, 'Use --executor local.');
}
