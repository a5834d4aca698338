import * as Flags from '@oclif/core/flags';
import type { Entry } from '../nightly/entry.js';
import { ExitCode } from '../support/errors.js';
import { BaseCommand } from './base.js';
import * as flags from './flags.js';

export default class Nightly extends BaseCommand {
  static override summary = 'Measure what may have become worse, and judge it by gates.';
  static override description =
    'Runs every published row in small on painted data, CamVid where it is at hand, a benchmark, each kernel, the parity with the original (fcn verify), ' +
    'and the start of commands; compares the figures with those of earlier nights by the gates of nightly/gates.yaml; adds them ' +
    'to the history; and exits with 1 and the offending lines where a gate fails. Works the same on a laptop and in CI; ' +
    'docs/nightly.md shows it sharded over machines.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    "<%= config.bin %> <%= command.id %> --part smoke --rows 'fcn_r18*' --measure shard-1.jsonl",
    '<%= config.bin %> <%= command.id %> --from shard-1.jsonl --from shard-2.jsonl --summary summary.md',
    '<%= config.bin %> <%= command.id %> --accept "the ReLU is fused into the batch norm"',
  ];
  static override flags = {
    part: Flags.option({
      summary: 'Only this part; may be given several times.',
      options: ['smoke', 'camvid', 'benchmark', 'kernels', 'parity', 'startup'] as const,
      multiple: true,
      multipleNonGreedy: true,
    })(),
    rows: Flags.string({
      summary: "Smoke runs of rows that match only, as 'fcn_r50*769*'; may be given several times.",
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'PATTERN',
    }),
    measure: Flags.string({
      summary: 'Judge nothing: write the figures to a file, for --from.',
      helpValue: 'FILE',
      exclusive: ['from', 'accept', 'summary'],
    }),
    from: Flags.string({
      summary: 'Measure nothing: judge the figures of these files together as one night.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'FILE',
      exclusive: ['part', 'rows'],
    }),
    gates: Flags.string({
      summary: 'Gates to judge by, instead of those of the package.',
      env: 'FCN_GATES',
      helpValue: 'FILE.yaml',
    }),
    history: Flags.string({
      summary: 'History of nights, a JSON object a line, that this one is compared with and added to.',
      env: 'FCN_HISTORY',
      default: 'results/nightly.jsonl',
      helpValue: 'FILE',
    }),
    accept: Flags.string({ summary: 'Compare later nights with this one, and say why.', helpValue: 'REASON' }),
    summary: Flags.string({
      summary: 'Write the summary, markdown, to a file, too.',
      env: 'FCN_SUMMARY',
      helpValue: 'FILE',
    }),
    work: Flags.string({
      summary: 'Folder of painted data, runs and their records.',
      default: 'runs/nightly',
      helpValue: 'DIR',
    }),
    engine: flags.engine,
    'data-root': flags.dataRoot,
    results: flags.results,
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(Nightly);
    const { closeNight, readMeasurements, writeMeasurements } = await import('../nightly/nightly.js');
    const measured = flags.from === undefined ? await this.measure(flags) : readMeasurements(flags.from);
    if (flags.measure !== undefined) {
      await writeMeasurements(flags.measure, measured);
      this.print(`${measured.measurements.length} figures in ${flags.measure}; fcn nightly --from judges them.`);
      return measured;
    }
    const { night, judgements, summary, failures } = await closeNight(measured, flags);
    this.print(summary);
    if (flags.summary !== undefined) {
      const { writeFileAtomic } = await import('../support/files.js');
      await writeFileAtomic(flags.summary, `${summary}\n`);
    }
    for (const line of failures) this.note(`failed: ${line}`);
    if (failures.length > 0) process.exitCode = ExitCode.failed;
    return { night, judgements, failures };
  }

  private async measure(flags: MeasureFlags): Promise<Entry> {
    const { measureNight, NIGHT_PARTS } = await import('../nightly/measure.js');
    return measureNight({
      parts: flags.part ?? NIGHT_PARTS,
      rows: flags.rows ?? [],
      engine: flags.engine,
      dataRoot: flags['data-root'],
      work: flags.work,
      signal: this.interruptSignal(),
      display: this.displayMode(),
      say: (line) => this.note(line),
    });
  }
}

interface MeasureFlags {
  readonly part: ('smoke' | 'camvid' | 'benchmark' | 'kernels' | 'parity' | 'startup')[] | undefined;
  readonly rows: string[] | undefined;
  readonly engine: 'auto' | 'tensorflow' | 'wasm';
  readonly 'data-root': string;
  readonly work: string;
}
