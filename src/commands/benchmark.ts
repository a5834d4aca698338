import * as Flags from '@oclif/core/flags';
import type { InferredFlags } from '@oclif/core/interfaces';
import type { JoiningFlags } from '../cli/divided-command.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';
import type { Precision } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';

type ScaleFlags = Omit<JoiningFlags, 'processes'> & {
  readonly processes: string;
  readonly profile: 'full' | 'smoke';
  readonly file?: string | undefined;
  readonly seed?: number | undefined;
  readonly set?: string[] | undefined;
  readonly precision?: Precision | undefined;
};

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
    processes: Flags.string({
      summary:
        'Instead, time a training step on the whole batch, divided among so many processes of this machine, as in 1,2,4: its time, ' +
        'waiting, bytes and memory.',
      helpValue: 'N,…',
      exclusive: ['weights'],
    }),
    ...flags.experiment,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Benchmark);
    if (flags.kernels) return this.measureKernels(args.row, flags);
    if (flags.processes !== undefined) return this.scale(args.row, { ...flags, processes: flags.processes });
    return this.runRow(args.row, { ...flags, processes: undefined }, ['benchmark'], { recipeOf: flags.weights });
  }

  /** Measures in processes of their own, one number of them after the other; in such a process, measures with the others. */
  private async scale(row: string | undefined, flags: ScaleFlags): Promise<object> {
    const { parseCounts, formatScaling } = await import('../cli/scaling.js');
    const { chooseRecipe } = await import('../runs/run-recipe.js');
    const { profile, file, seed } = flags;
    const overrides = overridesOf(flags);
    const isProfileGiven = this.isGiven('profile');
    const { experiment } = await chooseRecipe(null, { row, file, profile, isProfileGiven, seed, overrides });
    const folder = process.env['FCN_SCALING'];
    if (folder === undefined) {
      const { measureEach } = await import('../cli/scaling.js');
      const steps = await measureEach(parseCounts(flags.processes), experiment, (count) => this.note(`${count} …`));
      this.print(formatScaling(steps));
      return { row: experiment.row, batch: experiment.training.batch, sizeHw: experiment.data.cropHw, steps };
    }
    const { measureHere } = await import('../cli/scaling.js');
    const processes = await this.joinProcesses({ ...flags, processes: Number(flags.processes) }, false);
    await measureHere(folder, experiment, processes!, flags);
    return {};
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
