import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class RunsShow extends BaseCommand {
  static override summary = 'Show a run: its state, progress, result, the IoU of each class, and its files.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --json',
    '<%= config.bin %> <%= command.id %> 20250102-0304',
  ];
  static override args = { run: flags.runOrNewest };
  static override flags = { sort: flags.classOrder, runs: flags.runs };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(RunsShow);
    const { readdir } = await import('node:fs/promises');
    const { findRunDirectory } = await import('../../runs/run-names.js');
    const { inspectRun } = await import('../../runs/inspect.js');
    const { explainFileError } = await import('../../support/files.js');
    const { formatRun } = await import('../../runs/list.js');
    const { checkpointPercents } = await import('../../records/checkpoint-figures.js');
    const { formatClasses } = await import('../../records/class-evaluation.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    // RUN:best and RUN:last name weights of the run.
    const reader = await findRunDirectory(flags.runs, args.run?.replace(/:(best|last)$/, ''));
    const run = await inspectRun(reader.folder);
    const names = await readdir(run.folder).catch((error) => {
      throw explainFileError(error, run.folder, 'read');
    });
    const files = names.sort();
    const { markedCheckpointsOf } = await import('../../runs/marked-checkpoints.js');
    const checkpoints = run.state === 'unreadable' ? null : await markedCheckpointsOf(reader);
    const classes = run.state === 'unreadable' ? null : await reader.classes();
    this.print(formatRun(run, checkpoints, files, outputWidth()));
    if (classes !== null) {
      this.print(`\n${formatClasses(classes, { order: flags.sort, width: outputWidth() }).join('\n')}`);
    }
    return { ...run, checkpoints: checkpoints && checkpointPercents(checkpoints), files, classes };
  }
}
