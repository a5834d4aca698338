import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { selectRow } from '../../src/recipe/select.js';
import { planRuns } from '../../src/runs/plan.js';
import { inAvailablePrecision, precisionNote } from '../../src/runs/precision.js';
import { UserError } from '../../src/support/errors.js';

const FP16_ROW = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';
const FP32_ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';

function on(halfPrecision: Engine['halfPrecision'], row: string, precision?: string) {
  const device = halfPrecision === 'fp16' ? 'gpu' : 'cpu';
  const engine = { name: 'tensorflow', device, halfPrecision } as Engine;
  const overrides = precision === undefined ? [] : [`training.precision=${precision}`];
  const [run] = planRuns({ rows: [selectRow(row)], profile: 'full', overrides, seed: 0, repeat: 1 });
  const available = inAvailablePrecision(engine, run!);
  return {
    precision: available.experiment.training.precision,
    deviations: available.deviations,
    note: precisionNote(available),
  };
}

const deviation = (published: string, value: string) => [{ path: 'training.precision', published, value }];

test('float32 and what the hardware has stay as they are', (t) => {
  t.deepEqual(on(null, FP32_ROW), { precision: 'fp32', deviations: [], note: null });
  t.deepEqual(on('bf16', FP32_ROW), { precision: 'fp32', deviations: [], note: null });
  t.deepEqual(on('fp16', FP16_ROW), { precision: 'fp16', deviations: [], note: null });
  t.deepEqual(on('bf16', FP32_ROW, 'bf16'), { precision: 'bf16', deviations: deviation('fp32', 'bf16'), note: null });
});

test('what is to run in float16 runs in bfloat16 on a processor, and that is said and recorded', (t) => {
  t.deepEqual(on('bf16', FP16_ROW), {
    precision: 'bf16',
    deviations: deviation('fp16', 'bf16'),
    note: `${FP16_ROW} runs in bf16, not in fp16, which this hardware does not have: a recorded deviation.`,
  });
  t.deepEqual(on('bf16', FP32_ROW, 'fp16').deviations, deviation('fp32', 'bf16'));
});

test('a deviation from what is published is none where the hardware undoes it', (t) => {
  const engine = { name: 'tensorflow', device: 'cpu', halfPrecision: 'bf16' } as Engine;
  const [run] = planRuns({ rows: [selectRow(FP16_ROW)], profile: 'full', overrides: [], seed: 0, repeat: 1 });
  // As of a table whose recipe is in bfloat16, run with --precision fp16.
  const available = inAvailablePrecision(engine, { ...run!, deviations: deviation('bf16', 'fp16') });
  t.deepEqual(available.deviations, []);
  t.regex(precisionNote(available) ?? '', /does not have\.$/);
});

test('what the hardware lacks, and nothing stands for, is refused', (t) => {
  t.throws(() => on('fp16', FP16_ROW, 'bf16'), {
    instanceOf: UserError,
    message: `${FP16_ROW} should run in bf16, but this GPU convolves in float16.`,
  });
  t.throws(() => on(null, FP16_ROW), {
    instanceOf: UserError,
    message: /the tensorflow engine convolves only in float32 on this CPU\./,
  });
});
