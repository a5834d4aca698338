import * as Flags from '@oclif/core/flags';
import type { InferredFlags } from '@oclif/core/interfaces';
import * as flags from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';
import { UserError } from '../support/errors.js';

export default class Benchmark extends RunCommand {
  static override summary = 'Measure the speed and memory of a row on this machine.';
  static override description =
    'Measures frames per second by the published protocol (batch 1, forward and post-processing, without data loading), the memory ' +
    'of training, and the rate of a bare convolution, with the share of it that the network reaches. Reads no data.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> --kernels --engine webgpu',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set benchmark.images=20 --json',
  ];
  static override args = { row: flags.row };
  static override flags = {
    kernels: Flags.boolean({
      summary:
        'Measure the heaviest convolutions by themselves instead of a row, beside what arithmetic expects of a GPU.',
      exclusive: ['weights'],
    }),
    weights: Flags.string({
      summary:
        'Measure with the recipe of this run. The measured network is untrained: its speed does not depend on weights.',
      helpValue: 'RUN',
    }),
    ...flags.experiment,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Benchmark);
    if (flags.kernels) return this.measureKernels(args.row, flags);
    return this.runRow(args.row, flags, ['benchmark'], { recipeOf: flags.weights });
  }
  private async measureKernels(
    row: string | undefined,
    {
      engine: name,
      deterministic,
      convolution,
    }: Pick<InferredFlags<typeof flags.run>, 'engine' | 'deterministic' | 'convolution'>,
  ): Promise<object> {
    if (row !== undefined)
      throw new UserError(`--kernels measures no row, but ${row} was given.`, 'Leave out one of them.');
    const { startEngine } = await import('../engines/selection.js');
    const { formatKernelRates, kernelRates } = await import('../measurement/kernel-rates.js');
    const engine = await startEngine({ engine: name, deterministic, convolution });
    const rates = await kernelRates(engine, this.interruptSignal());
    this.print(formatKernelRates(rates, engine));
    return { engine: engine.name, device: engine.device, versions: engine.versions, rates };
  }
}
