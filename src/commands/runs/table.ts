import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { RUN_STATES } from '../../runs/directory.js';
import { formatNumber } from '../../support/format.js';

export default class RunsTable extends BaseCommand {
  static override summary = 'Rank runs: a line each, with what differs in their recipes and their figures.';
  static override description =
    'Runs with a directory or a record, also those that still run or failed; kept records without a directory only if there is ' +
    'nothing else, if they are named, or with --kept. A value of the recipe is a column if it is ' +
    'not the same in all of the runs. Columns that do not fit the terminal are named below; --columns chooses others. ' +
    'Other formats have all of them.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    "<%= config.bin %> <%= command.id %> 'camvid*' --state completed --sort fps",
    '<%= config.bin %> <%= command.id %> --where width=16 --columns learningRate,batch',
    '<%= config.bin %> <%= command.id %> 20250102-030405',
    '<%= config.bin %> <%= command.id %> --write runs.csv',
  ];
  static override args = {
    runs: { ...flags.runsOrAll, description: `${flags.runsOrAll.description} The id of a job means its runs.` },
  };
  static override flags = {
    sort: Flags.string({
      summary:
        'mIoU, ms+flip, memory, fps (the best first), row, run, seed, state, started, profile, hardware, or a value of the recipe.',
      default: 'mIoU',
      helpValue: 'KEY',
    }),
    reverse: Flags.boolean({ summary: 'The other way round.' }),
    state: Flags.option({
      summary: 'Only runs in this state; may be given several times.',
      options: RUN_STATES,
      multiple: true,
      multipleNonGreedy: true,
    })(),
    where: Flags.string({
      summary: 'Only runs with this value in their recipe, as width=16; may be given several times: all must hold.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'key=value',
    }),
    columns: Flags.string({
      summary: 'Show these values of the recipe, as width,learningRate, or profile, started, hardware.',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      helpValue: 'KEYS',
    }),
    file: Flags.string({
      summary: 'Only runs of the rows in this experiment file; may be given several times.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'FILE.yaml',
    }),
    format: Flags.option({
      summary: "How to lay the table out; of a file, by default what its name's ending says.",
      options: ['terminal', 'markdown', 'csv', 'json', 'html'] as const,
    })(),
    kept: Flags.boolean({ summary: 'Also all kept records without a run directory, such as those of a repository.' }),
    wide: flags.wide,
    write: Flags.string({
      summary: 'Write to a file instead of standard output; may be given several times.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'FILE',
    }),
    results: flags.results,
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(RunsTable);
    const { RunCatalogue } = await import('../../runs/catalogue.js');
    const { withRunsOfJobs } = await import('../../jobs/runs-of-job.js');
    const { isOnlyKept, makeLeaderboard } = await import('../../tables/leaderboard/leaderboard.js');
    const { describeLeaderboard, formatBoard, writeLeaderboard } = await import('../../tables/leaderboard/report.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const { tablesOf } = await import('../../recipe/select.js');
    const { state: states, where, columns, sort, reverse, file, format, wide, write = [] } = flags;
    const rows = file && tablesOf(file).flatMap((table) => table.rows);
    const catalogue = new RunCatalogue(flags, this.noteLeftOut);
    const known = await catalogue.all();
    const own = known.filter((run) => !isOnlyKept(run));
    const all = flags.kept || file !== undefined || own.length === 0 ? known : own;
    const chosen = args.runs === undefined ? all : await catalogue.find(await withRunsOfJobs(flags.runs, args.runs));
    const board = makeLeaderboard(chosen, known, { states, where, columns, sort, reverse, rows });
    const kept = known.length - chosen.length;
    for (const file of write) {
      await writeLeaderboard(board, file, format);
      this.note(`Wrote ${file}.`);
    }
    if (board.runs.length === 0) {
      this.note(
        known.length === 0 ? `No runs in ${flags.runs}, and no records in ${flags.results}.` : 'No run matches.',
      );
    } else if (write.length === 0) {
      this.print(await formatBoard(board, format ?? 'terminal', { wide, width: outputWidth() }));
    }
    if (args.runs === undefined && kept > 0) {
      this.note(
        `Not shown: ${formatNumber(kept, 'kept record')} that no run directory here belongs to; --kept adds them.`,
      );
    }
    return describeLeaderboard(board);
  }
}
