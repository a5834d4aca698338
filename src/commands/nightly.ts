import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import type { EngineName } from '../engines/engine.js';
import { NIGHT_PARTS, type Night, type NightPart } from '../nightly/history.js';
import { ExitCode, UserError } from '../support/errors.js';

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
      options: NIGHT_PARTS,
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
    }),
    from: Flags.string({
      summary: 'Measure nothing: judge the figures of these files together as one night.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'FILE',
    }),
    whole: Flags.boolean({
      summary: 'With --from: the files together are a whole night; a part or a published row that none holds fails.',
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
    const { flags, raw } = await this.parse(Nightly);
    // What the environment sets is for all commands, and may be of no use to this one.
    refuseIdleFlags(new Set(raw.flatMap((token) => (token.type === 'flag' ? [token.flag] : []))), flags);
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

  private async measure(flags: MeasureFlags): Promise<Night> {
    const { measureNight } = await import('../nightly/measure.js');
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

interface MeasureFlags {
  readonly part: NightPart[] | undefined;
  readonly rows: string[] | undefined;
  readonly engine: EngineName | 'auto';
  readonly 'data-root': string;
  readonly work: string;
}

const OF_MEASURING = ['part', 'rows', 'work', 'engine', 'data-root'];
const OF_JUDGING = ['gates', 'history', 'accept', 'summary', 'results', 'whole'];

/** @throws UserError where a flag that was given would have no effect, or says nothing. */
function refuseIdleFlags(
  given: ReadonlySet<string>,
  flags: { readonly part?: string[]; readonly accept?: string },
): void {
  const refuse = (flag: string, why: string) => {
    throw new UserError(`--${flag} has no effect: ${why}.`, `Leave out --${flag}, or see fcn nightly --help.`);
  };
  const first = (names: readonly string[]) => names.find((name) => given.has(name));
  if (given.has('measure')) {
    const idle = first(['from', ...OF_JUDGING]);
    if (idle !== undefined) refuse(idle, '--measure judges nothing, it measures and writes the figures');
  }
  if (given.has('from')) {
    const idle = first(OF_MEASURING);
    if (idle !== undefined) refuse(idle, '--from measures nothing, it judges what was measured');
  } else if (given.has('whole')) refuse('whole', 'there is no --from');
  if (given.has('rows') && flags.part !== undefined && !flags.part.includes('smoke')) {
    refuse('rows', 'it chooses smoke runs, and no --part is smoke');
  }
  if (flags.accept !== undefined && flags.accept.trim() === '') {
    throw new UserError('--accept gives no reason.', 'Say why later nights are to be compared with this one.');
  }
}
