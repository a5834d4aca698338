import type { ExecutionContext } from 'ava';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { liveTensors } from '../../../src/engines/memory.js';
import { measureTraining } from '../../../src/measurement/measure.js';
import type { Precision } from '../../../src/recipe/experiment.js';
import { resolve } from '../../../src/recipe/resolve.js';
import { trainingMemory } from '../../../src/training/step.js';
import { halfPrecision, withEngine } from '../../helpers/engines.js';

/** Rows of both kinds of block, narrow and small. */
export const SOME: readonly { row: string; width: number; sizeHw: readonly [number, number] }[] = [
  { row: 'fcn_r18-d8_512x1024_80k_cityscapes', width: 16, sizeHw: [64, 128] },
  { row: 'fcn_d6_r50-d16_512x1024_40k_cityscapes', width: 8, sizeHw: [64, 64] },
];

/** Rows of every other structure, and one whose memory is mostly parameters. */
export const OTHERS: typeof SOME = [
  { row: 'fcn_r18-d8_512x1024_80k_cityscapes', width: 64, sizeHw: [64, 64] },
  { row: 'fcn_r18b-d8_769x769_80k_cityscapes', width: 16, sizeHw: [65, 65] },
  { row: 'fcn_r50-d8_512x1024_40k_cityscapes', width: 16, sizeHw: [64, 64] },
  { row: 'fcn_d6_r50-d16_512x1024_40k_cityscapes', width: 16, sizeHw: [64, 128] },
  { row: 'fcn_d6_r101-d16_512x1024_40k_cityscapes', width: 8, sizeHw: [64, 64] },
  { row: 'fcn_r101-d8_512x512_80k_ade20k', width: 8, sizeHw: [64, 64] },
];

const IMAGES = 2;

function compare(precision: Precision, { row, width, sizeHw }: (typeof SOME)[number]) {
  return async (t: ExecutionContext, engine: Engine): Promise<void> => {
    const overrides = [`width=${width}`, 'pretrained=null', `training.precision=${precision}`];
    const experiment = resolve({ row, overrides });
    const before = liveTensors(engine);
    const { peakBytes, addressedBytes } = await trainingMemory(engine, experiment, sizeHw, IMAGES);
    t.deepEqual(liveTensors(engine), before, 'nothing is left');
    const options = { engine, experiment, sizeHw, batch: IMAGES, warmup: 1, repetitions: 1 };
    const { liveTensorBytes } = await measureTraining(options);
    t.is(peakBytes, liveTensorBytes);
    t.is(addressedBytes === null, engine.name !== 'wasm');
    t.true(addressedBytes === null || addressedBytes > peakBytes);
  };
}

/** Compares the real step with its estimate. */
export function testTrainingMemory(name: EngineName, cases: typeof SOME): void {
  const onEngine = withEngine(name);
  for (const each of cases) {
    const what = `${each.row} at width ${each.width}`;
    onEngine(`${name}: the memory of training ${what} is what was estimated`, compare('fp32', each));
  }
  if (name === 'wasm') return;
  const inHalf = withEngine(name, halfPrecision !== null);
  for (const each of cases) {
    inHalf(
      `${name}: the memory of training ${each.row} at width ${each.width} in 16 bits is what was estimated`,
      async (t, engine) => compare(engine.halfPrecision!, each)(t, engine),
    );
  }
}
