import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/selection.js';
import { resolve } from '../../src/recipe/resolve.js';
import { predictionThreads, withPlannedThreads } from '../../src/runs/prediction-threads.js';
import { imageMemory } from '../../src/runs/stage-memory.js';

const GB = 2 ** 30;
const PLENTY = 64 * GB;
const resolved = (row: string, ...overrides: string[]) => resolve({ row, profile: 'smoke', overrides });
const WHOLE = resolved('fcn_r18-d8_512x1024_80k_cityscapes', 'width=4');
const SLIDE = resolved('fcn_r18-d8_769x769_80k_cityscapes', 'width=4');

/** The threads for some work, and what is noted. */
async function threadsFor(
  work: Partial<Parameters<typeof predictionThreads>[1]>,
  free = PLENTY,
  engine?: Engine,
): Promise<{ threads: number; notes: string[] }> {
  const notes: string[] = [];
  const all = { experiment: WHOLE, stage: 'evaluate', images: 500, threads: undefined, ...work } as const;
  const threads = await predictionThreads(
    engine ?? (await startEngine({ engine: 'wasm' })),
    all,
    (text) => notes.push(text),
    free,
  );
  return { threads, notes };
}

test.serial('threads are as many as were asked for, but no more than images, views and windows', async (t) => {
  const count = async (...work: Parameters<typeof threadsFor>) => {
    const { threads, notes } = await threadsFor(...work);
    t.deepEqual(notes, []);
    return threads;
  };
  t.is(await count({ threads: 3 }), 3);
  t.is(await count({ threads: 3, images: 2 }), 2);
  t.is(await count({ threads: 3, images: 1 }), 1, 'a whole image at one scale cannot be divided');
  t.is(await count({ threads: 64, images: 1, stage: 'evaluate-ms' }), 12);
  t.true((await count({ threads: 64, images: 1, experiment: SLIDE })) > 1, 'windows');
});

test.serial('without being asked, little work starts no threads', async (t) => {
  const engine = { ...(await startEngine({ engine: 'wasm' })) };
  t.is((await threadsFor({ images: 1 })).threads, 1);
  t.is((await threadsFor({ images: 1, stage: 'evaluate-ms' })).threads, 1);
  t.deepEqual(await threadsFor({}, PLENTY, { ...engine, usesOneThread: false }), { threads: 1, notes: [] });
});

test.serial('fewer threads where memory does not suffice, which is said; each is counted in the plan', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const one = await imageMemory(WHOLE, 'evaluate', engine);
  const plan = { experiment: WHOLE, threads: 4, images: 500 };
  const planned = (mainBytes: number) => withPlannedThreads(one, engine, { ...plan, mainBytes });
  const four = planned(PLENTY);
  t.is(four.predictionThreads, 4);
  t.is(four.parts.tensors, 4 * one.parts.tensors);
  t.true(four.processBytes > one.processBytes + 3 * 2 ** 20 * 50);
  const three = planned(four.processBytes - 1);
  t.is(three.predictionThreads, 3);
  t.deepEqual(planned(one.processBytes), one);
  // A process that is there already needs the program no more.
  const free = three.processBytes - 1.07 * three.parts.program + 1;
  const { threads, notes } = await threadsFor({ threads: 4 }, free);
  t.is(threads, 3);
  t.is(notes.length, 1);
  t.regex(notes[0]!, /^3 threads instead of 4: 4 threads would need about \S+ MB more, and \S+ MB are free\.$/);
  t.is((await threadsFor({ threads: 4 }, 0)).threads, 1);
});

test.serial('an engine with threads of its own takes none, and says so if they are asked for', async (t) => {
  const engine = { ...(await startEngine({ engine: 'wasm' })), usesOneThread: false };
  const { threads, notes } = await threadsFor({ threads: 4 }, PLENTY, engine);
  t.is(threads, 1);
  t.regex(notes.join(), /^--threads 4 changes nothing: /);
});
