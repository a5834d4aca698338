import path from 'node:path';
import type { FlagInput } from '@oclif/core/interfaces';
import { readJob } from '../jobs/job.js';
import type { CommandWith } from '../runs/run-check.js';
import { commandWith } from './command-with.js';

/**
 * How a task suggests other flags: as the command that submitted its job, for the task's row alone, because the task's own command is
 * internal, and a retry of the job would leave the flags as they are.
 * @param announcement `--announce` of the task: RUNS/jobs/ID/tasks/INDEX.run.
 * @param flags Definitions of the flags of `fcn reproduce`.
 * @throws UserError if the job cannot be read.
 */
export async function commandOfTask(announcement: string, bin: string, flags: FlagInput): Promise<CommandWith> {
  const { command, tasks } = await readJob(path.dirname(path.dirname(path.resolve(announcement))));
  const { row, seed } = tasks[Number.parseInt(path.basename(announcement), 10)]!;
  const [id = '', ...argv] = command;
  const submitted = commandWith({ bin, id, argv, flags });
  const isRepeated = tasks.filter((task) => task.row === row).length > 1;
  const own = isRepeated ? ['--repeat', '1', '--seed', String(seed)] : [];
  return (added) => submitted([...own, ...added], row);
}
