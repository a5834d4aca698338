import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { ExitCode, UserError } from '../support/errors.js';
import { formatNumber, shellWords } from '../support/format.js';
import type { Leaderboard } from '../tables/leaderboard/leaderboard.js';
import type { TableFormat } from '../tables/report.js';
import type { Report } from '../tables/table.js';

export default class Table extends BaseCommand {
  static override summary = 'Show the published tables with the published and the reproduced figures.';
  static override description =
    'Uses only the records under --results and --runs. A figure of the smoke profile, of a changed recipe or of a row without ' +
    'published figures never appears in a published table, but in a table of its own: in a terminal, kept records without a run ' +
    'directory only if they are chosen, or with --kept. ' +
    'A file (--file) that publishes nothing is shown as fcn runs table shows runs. Files are written from kept records only ' +
    '(fcn results add). In a Markdown file only the text between the markers <!-- fcn table: PART --> and ' +
    '<!-- end of fcn table: PART --> is replaced; PART is published, smoke or local.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    "<%= config.bin %> <%= command.id %> --rows 'fcn_r50*' --sort mIoU --wide",
    '<%= config.bin %> <%= command.id %> --only-published --seeds --format csv',
    '<%= config.bin %> <%= command.id %> --file mine.yaml --format markdown',
    {
      description: 'Write the tables of a repository again:',
      command: '<%= config.bin %> <%= command.id %> --write README.md --write results/README.md',
    },
    {
      description: 'Check in CI that they are not stale:',
      command: '<%= config.bin %> <%= command.id %> --check',
    },
  ];
  static override flags = {
    format: Flags.option({
      summary: 'Format of the tables. Default: terminal, or for a file the format of its extension.',
      options: ['terminal', 'markdown', 'csv', 'json', 'html'] as const,
    })(),
    wide: flags.wide,
    summary: Flags.boolean({
      summary: 'In a terminal: only a line for each published table.',
      exclusive: ['wide', 'format', 'write', 'check'],
    }),
    'only-published': Flags.boolean({ summary: 'Leave out smoke and local runs.' }),
    kept: Flags.boolean({ summary: 'In a terminal: also smoke and local runs of which there is only a kept record.' }),
    seeds: Flags.boolean({
      summary: 'Show mean ± sample standard deviation over all seeds, and their number, instead of the newest run.',
    }),
    rows: Flags.string({
      summary: "Only rows that match, such as 'fcn_r50*769*'; may be given several times.",
      ...flags.repeatable,
      helpValue: 'PATTERN',
      completes: 'ROW',
    }),
    sort: Flags.option({
      summary: 'Order of the rows, best first; here and difference refer to mIoU.',
      options: ['published', 'row', 'backbone', 'memory', 'fps', 'mIoU', 'ms+flip', 'here', 'difference'] as const,
    })(),
    profile: Flags.option({
      summary: 'Only figures of this profile.',
      options: ['full', 'smoke'] as const,
    })(),
    file: Flags.string({
      summary: 'Show the table of this experiment file, not those of the package; may be given several times.',
      ...flags.repeatable,
      helpValue: 'FILE.yaml',
    }),
    table: Flags.string({ summary: 'Only this published table.', helpValue: 'NAME' }),
    write: Flags.string({
      summary: 'Write to a file instead of standard output; may be given several times.',
      ...flags.repeatable,
      helpValue: 'FILE',
    }),
    check: Flags.boolean({
      summary:
        'Write nothing, but exit with 1 if --write (default: README.md and results/README.md) would change a file, or a part is missing.',
    }),
    results: flags.results,
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(Table);
    const { reportOf } = await import('../tables/report.js');
    const toFile = flags.check || flags.write !== undefined;
    // The parser's "exclusive" of two flags with one and the same would garble the usage line.
    if (toFile && flags.file !== undefined) {
      throw new UserError(
        "--write and --check are for documents with the package's own tables, not for those of --file.",
        'Leave out --file, or print the table with --format and redirect it to a file.',
      );
    }
    const chosen = { ...flags, onlyPublished: flags['only-published'] };
    // A document without a kept record that is merely damaged would look right.
    const report = reportOf(toFile ? { ...chosen, onlyKept: true } : { ...chosen, onBroken: this.noteLeftOut });
    if (flags.check) return this.check(report, flags.write, flags.format);
    if (flags.write !== undefined) return this.write(report, flags.write, flags.format);
    if (flags.file !== undefined && !flags.seeds && !flags['only-published']) {
      const { ownLeaderboard } = await import('../tables/leaderboard/leaderboard.js');
      const board = await ownLeaderboard({ ...flags, file: flags.file }, this.noteLeftOut);
      if (board !== null) return this.printLeaderboard(board, report, flags.format ?? 'terminal', flags.wide);
    }
    const { formatReport, withoutOnlyKept } = await import('../tables/report.js');
    const { outputWidth, wrap } = await import('../terminal/layout.js');
    if (flags.summary) {
      const { formatSummary } = await import('../tables/report.js');
      this.print(formatSummary(report, outputWidth()));
      return report;
    }
    const format = flags.format ?? 'terminal';
    const named = [flags.rows, flags.table, flags.profile, flags.file].some((flag) => flag !== undefined);
    const all = named || flags.kept || flags.wide || format !== 'terminal';
    const shown = all ? { report, leftOut: 0 } : withoutOnlyKept(report, flags.runs);
    const { leftOut } = shown;
    this.print(await formatReport(shown.report, format, { wide: flags.wide, width: outputWidth() }));
    if (leftOut > 0) {
      const runs = `${formatNumber(leftOut, 'smoke or local run')} of kept records without a run directory here`;
      this.print(`\n${wrap(`Not shown: ${runs}; --kept adds them.`, outputWidth()).join('\n')}`);
    }
    return report;
  }

  /** The runs of files that publish nothing. As JSON beside the report, whose form is that of every table. */
  private async printLeaderboard(
    board: Leaderboard,
    report: Report,
    format: TableFormat,
    wide: boolean,
  ): Promise<object> {
    const { describeLeaderboard, formatBoard } = await import('../tables/leaderboard/report.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const described = { ...report, ...describeLeaderboard(board) };
    if (board.runs.length === 0) this.note('No run is of the requested rows.');
    else if (format === 'json') this.print(JSON.stringify(described, null, 2));
    else this.print(await formatBoard(board, format, { wide, width: outputWidth() }));
    return described;
  }

  private async write(report: Report, files: readonly string[], asked: TableFormat | undefined): Promise<object> {
    const { formatOfFile, writeReport } = await import('../tables/written.js');
    // Check all of them before the first is written.
    for (const file of files) formatOfFile(file, asked);
    for (const file of files) {
      await writeReport(report, file, asked);
      this.note(`Wrote ${file}.`);
    }
    return { ...report, files };
  }

  private async check(
    report: Report,
    asked: readonly string[] | undefined,
    format: TableFormat | undefined,
  ): Promise<object> {
    const { checkFiles, DOCUMENTS } = await import('../tables/written.js');
    const files = asked ?? DOCUMENTS;
    const stale = await checkFiles(report, files, format);
    if (stale.length === 0) this.print(`Up to date: ${files.join(', ')}.`);
    else {
      // Repeats the flags as typed, so that the same rows, seeds and records are written.
      const typed = this.argv.filter((word) => word !== '--check' && word !== '--json');
      const named = asked === undefined ? files.flatMap((file) => ['--write', file]) : [];
      this.print([...stale, `next: ${shellWords(['fcn', 'table', ...named, ...typed])}`].join('\n'));
      process.exitCode = ExitCode.failed;
    }
    return { files, stale };
  }
}
