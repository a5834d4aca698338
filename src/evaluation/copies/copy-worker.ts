import { workerData } from 'node:worker_threads';
import { serve } from '../../data/workers/pool.js';
import type { Engine } from '../../engines/engine.js';
import { startEngine } from '../../engines/selection.js';
import { NonFiniteOutputError } from '../../network/overflow.js';
import { UserError } from '../../support/errors.js';
import { EngineCopy } from './copy.js';
import type { CopyAnswer, CopySettings, CopyTask, NetworkTask } from './tasks.js';

const { engine: name } = workerData as CopySettings;

// The engine starts while the main thread reads the weights.
const started = startEngine({ engine: name });
let ready: Promise<{ readonly engine: Engine; readonly copy: EngineCopy }> | null = null;
// Every prediction reports a failure.
started.catch(() => {});

function makeNetwork({ model, weights }: NetworkTask): void {
  ready = started.then((engine) => ({ engine, copy: new EngineCopy(engine, model, weights) }));
  ready.catch(() => {});
}

/** A failure to start, which one thread might not have. */
function explainStart(error: unknown): never {
  if (!(error instanceof UserError)) throw error;
  throw new UserError(error.message, `${error.next ?? ''} One thread needs less: --threads 1.`.trim(), {
    cause: error,
  });
}

async function answer(task: CopyTask): Promise<CopyAnswer> {
  if (task.kind === 'network') {
    makeNetwork(task);
    return { kind: 'begun' };
  }
  if (ready === null) throw new Error('There is no network to predict with.');
  const { engine, copy } = await ready.catch(explainStart);
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
