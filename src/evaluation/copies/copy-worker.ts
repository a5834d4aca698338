import { workerData } from 'node:worker_threads';
import { serve } from '../../data/workers/pool.js';
import { startEngine } from '../../engines/selection.js';
import { NonFiniteOutputError } from '../../network/overflow.js';
import { UserError } from '../../support/errors.js';
import { EngineCopy } from './copy.js';
import type { CopyAnswer, CopySettings, CopyTask } from './tasks.js';

const { engine: name, model, weights } = workerData as CopySettings;

const started = startEngine({ engine: name }).then((engine) => ({
  engine,
  copy: new EngineCopy(engine, model, weights),
}));
// Every task reports a failure.
started.catch(() => {});

/** A failure to start, which one thread might not have. */
function explainStart(error: unknown): never {
  if (!(error instanceof UserError)) throw error;
  throw new UserError(error.message, `${error.next ?? ''} One thread needs less: --threads 1.`.trim(), {
    cause: error,
  });
}

async function answer(task: CopyTask): Promise<CopyAnswer> {
  const { engine, copy } = await started.catch(explainStart);
  try {
    if (task.kind === 'logits') return { kind: 'logits', logits: await copy.logits(task) };
    return { kind: 'classes', classes: await copy.classes(task) };
  } catch (error) {
    if (error instanceof NonFiniteOutputError) return { kind: 'overflow', what: error.what, fault: error.fault };
    if (!(error instanceof Error) || error instanceof UserError || !engine.isOutOfMemory(error)) throw error;
    throw new UserError(
      `The ${engine.name} engine is out of memory in one of several threads (${error.message}).`,
      'Use fewer threads (--threads 1), smaller images or windows, or a machine with more memory.',
      { cause: error },
    );
  }
}

serve<CopyTask, CopyAnswer>(async (task) => {
  const result = await answer(task);
  return { result, transfer: result.kind === 'classes' ? [result.classes.buffer as ArrayBuffer] : [] };
});
