import { readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { ExitCode } from '../../../src/support/errors.js';
import { afterNonFinite, type PostMortem } from '../../../src/training/post-mortem.js';
import { NonFiniteError, TrainingStep } from '../../../src/training/step.js';
import { withEngine } from '../../helpers/engines.js';
import { colourBatch, tinyExperiment } from '../../helpers/experiments.js';
import { temporaryFolder } from '../../helpers/folder.js';

/** The values of all running statistics. */
function runningStatistics({ segmentor: { parameters } }: TrainingStep): Float32Array[] {
  const paths = parameters.specs.map((spec) => spec.path).filter((name) => /\.running_(mean|var)$/.test(name));
  return paths.map((name) => parameters.get(name).dataSync<'float32'>().slice());
}

/** Tests of a training that stops because a value is not finite, on an engine. */
export function nonFiniteSuite(engineName: EngineName): void {
  const onEngine = withEngine(engineName);
  const start = async (engine: Engine) => {
    const step = new TrainingStep(engine, tinyExperiment());
    step.segmentor.initialise(0, false);
    await step.run(colourBatch(0), 0);
    return step;
  };
  const fill = ({ tf }: Engine, { segmentor }: TrainingStep, name: string, value: number) =>
    segmentor.parameters.set(name, tf.fill(segmentor.parameters.get(name).shape, value));

  const fail = async (t: Parameters<typeof temporaryFolder>[0], engine: Engine, step: TrainingStep) => {
    const directory = await temporaryFolder(t);
    const batch = colourBatch(1);
    const error = await t.throwsAsync(step.run(batch, 1), { instanceOf: NonFiniteError });
    const { numTensors } = engine.tf.memory();
    const before = runningStatistics(step);
    const explained = (await afterNonFinite(error, { engine, step, batch, row: 'tiny', directory })) as NonFiniteError;
    t.is(engine.tf.memory().numTensors, numTensors, 'the diagnosis leaves nothing');
    t.deepEqual(runningStatistics(step), before, 'the diagnosis moves nothing');
    t.is(explained.exitCode, ExitCode.diverged);
    const folder = path.join(directory, 'non-finite');
    t.true(explained.message.endsWith(`The state and a report are in ${folder}.`), explained.message);
    const report = JSON.parse(readFileSync(path.join(folder, 'report.json'), 'utf8')) as PostMortem;
    t.deepEqual(report.batch, ['image0', 'image1']);
    t.true((await readdir(folder)).includes('iteration-1.safetensors'));
    return { message: explained.message, report };
  };

  onEngine('values too large for a layer’s variance are traced to that layer', async (t, engine) => {
    const step = await start(engine);
    fill(engine, step, 'backbone.layer2.0.conv1.weight', 3e38);
    const { message, report } = await fail(t, engine, step);
    t.regex(
      message,
      /^The (loss \(NaN\)|gradient of \S+) is not finite at iteration 1, .*It began at backbone\.layer2\.0\.conv1\.weight \(forward, convolution\): \d+ of \d+ values/,
    );
    const { began, forward, backward } = report.diagnosis!;
    t.is(began?.direction, 'forward');
    t.true(forward.some(({ layer }) => layer === 'backbone.layer4.1.conv2.weight'));
    t.deepEqual(backward, []);
    t.is(report.parameters['backbone.layer2.0.conv1.weight']?.nonFinite, 0);
    t.is(report.parameters['backbone.layer2.0.conv1.weight']!.maximum, Math.fround(3e38));
    step.dispose();
  });

  onEngine('a gradient that overflows stops the step before its filter moves', async (t, engine) => {
    const step = await start(engine);
    // A convolution of zeros is normalised to zeros whatever γ is, and its gradient has the factor γ/√(0 + ε).
    fill(engine, step, 'decode_head.conv_cat.conv.weight', 0);
    fill(engine, step, 'decode_head.conv_cat.bn.weight', 1e36);
    fill(engine, step, 'decode_head.conv_cat.bn.bias', 1);
    fill(engine, step, 'decode_head.conv_seg.bias', 0);
    const { parameters } = step.segmentor;
    const { shape, size } = parameters.get('decode_head.conv_seg.weight');
    const classes = Float32Array.from({ length: size }, (_, i) => 1e6 * (i % 3));
    parameters.set('decode_head.conv_seg.weight', engine.tf.tensor(classes, shape));
    const { message, report } = await fail(t, engine, step);
    t.regex(message, /^The gradient of decode_head\.conv_cat\.conv\.weight is not finite/);
    t.regex(message, /It began at decode_head\.conv_cat\.bn\.weight \(backward, batchNormGradient/);
    t.is(report.diagnosis?.began?.direction, 'backward');
    for (const [name, { nonFinite }] of Object.entries(report.parameters)) t.is(nonFinite, 0, name);
    step.dispose();
  });

  onEngine('a parameter that was not finite before the step is named', async (t, engine) => {
    const step = await start(engine);
    fill(engine, step, 'decode_head.conv_seg.bias', Number.NaN);
    const { message } = await fail(t, engine, step);
    t.regex(message, /3 of 3 values of decode_head\.conv_seg\.bias were already not finite\./);
    step.dispose();
  });

  onEngine('if the state cannot be saved, the error says so too', async (t, engine) => {
    const step = await start(engine);
    fill(engine, step, 'decode_head.conv_seg.bias', Number.NaN);
    const batch = colourBatch(1);
    const error = await t.throwsAsync(step.run(batch, 1), { instanceOf: NonFiniteError });
    // A file where the run directory should be.
    const directory = path.join(await temporaryFolder(t), 'run');
    await writeFile(directory, '');
    const explained = (await afterNonFinite(error, { engine, step, batch, row: 'tiny', directory })) as NonFiniteError;
    t.is(explained.exitCode, ExitCode.diverged);
    t.regex(explained.message, /^The loss .* is not finite at iteration 1/);
    t.regex(explained.message, /3 of 3 values of decode_head\.conv_seg\.bias were already not finite\./);
    t.regex(explained.message, /The state could not be saved: .*run/);
    step.dispose();
  });
}
