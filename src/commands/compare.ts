import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { CLASS_ORDERS } from '../evaluation/class-figures.js';
import type { RunCatalogue } from '../runs/catalogue.js';

export default class Compare extends BaseCommand {
  static override summary = 'Compare a run with another run, its published row or a training log.';
  static override description =
    'Shows figures, curves, the IoU of each class, and the differences in recipe and environment; with several seeds, also whether a ' +
    'difference is more than chance. With --follow, it watches a run that trains, and warns if its loss leaves the band of the other ' +
    'curve: mean ± 3 standard deviations of the lines at the same part of the schedule.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> runs/ROW/RUN',
    '<%= config.bin %> <%= command.id %> 20250102-030405-01234567 20250103-030405-89abcdef --json',
    '<%= config.bin %> <%= command.id %> runs/ROW/RUN ROW_20200604_192608.log.json --follow',
    {
      description: 'What differs between two recipes, without running them:',
      command: '<%= config.bin %> <%= command.id %> --recipe camvid_r18-d8 fcn_r18-d8_512x1024_80k_cityscapes',
    },
  ];
  static override args = {
    a: Args.string({
      description: `${flags.RUN_FORMS}. If B is a log, a row without runs stands for itself.`,
      required: true,
      completes: 'RUN|RECORD|ROW',
    }),
    b: Args.string({
      description:
        "A run, a row, a log.json or scalars.json, or published, for the row's own log, downloaded. Default: the run's row.",
      completes: 'RUN|RECORD|ROW|published|FILE.json',
    }),
  };
  static override flags = {
    recipe: Flags.boolean({
      summary: 'Compare only the recipes of two rows, experiment files (FILE.yaml, FILE.yaml:ROW) or runs.',
      exclusive: ['follow'],
    }),
    profile: Flags.option({
      summary: 'With --recipe, of both: full if not given, and of a run its own.',
      options: ['full', 'smoke'] as const,
      dependsOn: ['recipe'],
    })(),
    set: Flags.string({
      summary: 'With --recipe, override a value of both; may be given several times.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'path=value',
      dependsOn: ['recipe'],
    }),
    sort: Flags.option({
      summary: 'Order of the classes; beside another run, the largest difference first if not given.',
      env: 'FCN_SORT_CLASSES',
      options: CLASS_ORDERS,
    })(),
    follow: Flags.boolean({ summary: "Watch until the run ends, and warn if its loss leaves B's band." }),
    interval: Flags.integer({
      summary: 'Seconds between two readings of the log.',
      env: 'FCN_FOLLOW_INTERVAL',
      default: 10,
      min: 1,
      max: 3600,
      helpValue: 'SECONDS',
    }),
    offline: flags.offline,
    results: flags.results,
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Compare);
    const signal = this.interruptSignal();
    const { firstInput, secondInput, publishedLogInput, PUBLISHED_LOG } = await import(
      '../pages/compare/references.js'
    );
    const { compare } = await import('../pages/compare/compare.js');
    const { describeComparison, formatComparison } = await import('../pages/compare/format.js');
    const { RunCatalogue } = await import('../runs/catalogue.js');
    const catalogue = new RunCatalogue(flags, this.noteLeftOut);
    if (flags.recipe) {
      const changes = { profile: flags.profile, overrides: flags.set ?? [] };
      return this.compareRecipes([args.a, args.b], changes, catalogue);
    }
    const a = await firstInput(args.a, args.b, catalogue);
    const b =
      args.b === PUBLISHED_LOG
        ? await publishedLogInput(a, { signal, offline: flags.offline, display: this.displayMode() })
        : await secondInput(args.b, a, catalogue);
    if (!flags.follow) {
      const comparison = compare(a, b);
      this.print(formatComparison(comparison, flags.sort));
      return describeComparison(comparison);
    }
    const { follow } = await import('../pages/compare/band.js');
    const followed = await follow({
      run: a,
      reference: b,
      milliseconds: flags.interval * 1000,
      signal,
      say: (line) => this.note(line),
      warn: (line) => this.note(`warning: ${line}`),
    });
    this.print(
      `${a.label.split(' (')[0]}: ${followed.state} after iteration ${followed.iteration}, ${followed.departures.length} departures.`,
    );
    return followed;
  }

  private async compareRecipes(
    [a, b]: readonly [string, string | undefined],
    changes: { readonly profile: 'full' | 'smoke' | undefined; readonly overrides: readonly string[] },
    catalogue: RunCatalogue,
  ): Promise<object> {
    const { compareRecipes, describeRecipeComparison, formatRecipeComparison } = await import(
      '../pages/compare/recipes.js'
    );
    const { outputWidth } = await import('../terminal/layout.js');
    const comparison = await compareRecipes(a, b, changes, catalogue);
    this.print(formatRecipeComparison(comparison, outputWidth()));
    return describeRecipeComparison(comparison);
  }
}
