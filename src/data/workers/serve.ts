import { parentPort } from 'node:worker_threads';
import { UserError } from '../../support/errors.js';
import type { Answer } from './pool.js';

/** A task's result, and the buffers in it that are handed over instead of copied. */
export interface Outcome<Result> {
  readonly result: Result;
  readonly transfer: ArrayBuffer[];
}

/** Runs in a worker thread: answers every task, one after the other, with what `handle` makes of it. */
export function serve<Task, Result>(handle: (task: Task) => Promise<Outcome<Result>>): void {
  const port = parentPort;
  if (!port) throw new Error('This module runs in a worker thread only.');
  const answer = async (task: Task): Promise<void> => {
    const send = (message: Answer<Result>, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
    try {
      const { result, transfer } = await handle(task);
      send({ kind: 'result', result }, transfer);
    } catch (error) {
      if (error instanceof UserError) send({ kind: 'problem', message: error.message, next: error.next });
      else send({ kind: 'bug', message: String(error), stack: error instanceof Error ? error.stack : undefined });
    }
  };
  let last = Promise.resolve();
  port.on('message', (task: Task) => {
    last = last.then(() => answer(task));
  });
}
