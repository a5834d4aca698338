import * as Flags from '@oclif/core/flags';
import type { InferredFlags } from '@oclif/core/interfaces';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { NIGHT_PARTS, type Night } from '../nightly/history.js';
import { ExitCode, UserError } from '../support/errors.js';

export default class Nightly extends BaseCommand {
  static override summary = 'Measure speed, memory and accuracy, and compare them with earlier nights.';
  static override description =
    'Runs the smoke profile of every published row on generated data, CamVid if it is there, a benchmark, each kernel, the comparison with ' +
    'the original (fcn verify), and the start of commands. Compares the figures with those of earlier nights by the gates of ' +
    'experiments/nightly/gates.yaml and adds them to the history. If a gate fails, prints why and exits with 1. Works the same on a laptop ' +
    'and in CI; docs/nightly.md shows how to share the work between machines.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    "<%= config.bin %> <%= command.id %> --part smoke --rows 'fcn_r18*' --measure shard-1.jsonl",
    '<%= config.bin %> <%= command.id %> --from shard-1.jsonl --from shard-2.jsonl --summary summary.md',
    '<%= config.bin %> <%= command.id %> --accept "the ReLU is fused into the batch norm"',
  ];
  static override flags = {
    part: Flags.option({
      summary: 'Only this part; may be given several times.',
      options: NIGHT_PARTS,
      ...flags.repeatable,
    })(),
    rows: Flags.string({
      summary: "Smoke runs only of rows that match, such as 'fcn_r50*769*'; may be given several times.",
      ...flags.repeatable,
      helpValue: 'PATTERN',
      completes: 'ROW',
    }),
    measure: Flags.string({
      summary: 'Only measure: write the figures to a file, for --from.',
      helpValue: 'FILE',
    }),
    from: Flags.string({
      summary: 'Only judge: take the figures of these files together as one night; may be given several times.',
      ...flags.repeatable,
      helpValue: 'FILE',
    }),
    whole: Flags.boolean({
      summary: 'With --from: the files are a whole night together, and a missing part or published row is a failure.',
    }),
    gates: Flags.string({
      summary: 'File of gates, instead of that of the package.',
      env: 'FCN_GATES',
      helpValue: 'FILE.yaml',
    }),
    history: Flags.string({
      summary: 'History of nights, a JSON object per line: compare this night with it, and add it.',
      env: 'FCN_HISTORY',
      default: 'results/nightly.jsonl',
      helpValue: 'FILE',
    }),
    accept: Flags.string({
      summary: 'Let later nights be compared with this one, for this reason.',
      helpValue: 'REASON',
    }),
    summary: Flags.string({
      summary: 'Write the summary to a Markdown file, too.',
      env: 'FCN_SUMMARY',
      helpValue: 'FILE',
    }),
    work: Flags.string({
      summary: 'Folder of generated data, runs and their records.',
      default: 'runs/nightly',
      helpValue: 'DIR',
    }),
    engine: flags.engine,
    ...flags.adapterChoice,
    convolution: flags.convolution,
    'data-root': flags.dataRoot,
    results: flags.results,
  };

  async run(): Promise<object> {
    const { flags, raw } = await this.parse(Nightly);
    // Only flags on the command line: the environment sets them for all commands.
    refuseFlagsWithoutEffect(new Set(raw.flatMap((token) => (token.type === 'flag' ? [token.flag] : []))), flags);
    const { closeNight, readMeasurements } = await import('../nightly/nightly.js');
    if (flags.measure !== undefined) return this.writeMeasured(flags.measure, await this.measure(flags));
    const measured = flags.from === undefined ? await this.measure(flags) : readMeasurements(flags.from);
    const { WHOLE_NIGHT } = await import('../nightly/measurements.js');
    const asked = flags.whole ? WHOLE_NIGHT : measured.asked;
    const { night, judgements, summary, failures } = await closeNight({ ...measured, asked }, flags);
    this.print(summary);
    if (flags.summary !== undefined) {
      const { writeFileAtomic } = await import('../support/files.js');
      await writeFileAtomic(flags.summary, `${summary}\n`);
    }
    this.fail(failures);
    return { night, judgements, failures };
  }

  private async measure(flags: InferredFlags<typeof Nightly.flags>): Promise<Night> {
    const { measureNight } = await import('../nightly/measure.js');
    return measureNight({
      parts: flags.part ?? NIGHT_PARTS,
      rows: flags.rows ?? [],
      engine: flags.engine,
      convolution: flags.convolution,
      dataRoot: flags['data-root'],
      work: flags.work,
      signal: this.interruptSignal(),
      display: this.displayMode(),
      say: (line) => this.note(line),
    });
  }

  private async writeMeasured(file: string, measured: Night): Promise<object> {
    const { writeMeasurements } = await import('../nightly/nightly.js');
    await writeMeasurements(file, measured);
    this.print(`${measured.measurements.length} figures in ${file}; fcn nightly --from judges them.`);
    this.fail(measured.problems);
    return measured;
  }

  private fail(lines: readonly string[]): void {
    for (const line of lines) this.note(`failed: ${line}`);
    if (lines.length > 0) process.exitCode = ExitCode.failed;
  }
}

const MEASURING_FLAGS = ['part', 'rows', 'work', 'engine', 'convolution', 'data-root'];
const JUDGING_FLAGS = ['gates', 'history', 'accept', 'summary', 'results', 'whole'];

/** @throws UserError if a given flag would have no effect, or is empty. */
function refuseFlagsWithoutEffect(
  given: ReadonlySet<string>,
  flags: { readonly part?: string[]; readonly accept?: string },
): void {
  const refuse = (flag: string, why: string) => {
    throw new UserError(`--${flag} has no effect: ${why}.`, `Leave out --${flag}, or see fcn nightly --help.`);
  };
  const first = (names: readonly string[]) => names.find((name) => given.has(name));
  if (given.has('measure')) {
    const useless = first(['from', ...JUDGING_FLAGS]);
    if (useless !== undefined) refuse(useless, '--measure only measures and writes the figures');
  }
  if (given.has('from')) {
    const useless = first(MEASURING_FLAGS);
    if (useless !== undefined) refuse(useless, '--from only judges what was measured before');
  } else if (given.has('whole')) refuse('whole', 'it needs --from');
  if (given.has('rows') && flags.part !== undefined && !flags.part.includes('smoke')) {
    refuse('rows', 'it chooses smoke runs, and no --part is smoke');
  }
  if (flags.accept !== undefined && flags.accept.trim() === '') {
    throw new UserError('--accept gives no reason.', 'Say why later nights should be compared with this one.');
  }
}
