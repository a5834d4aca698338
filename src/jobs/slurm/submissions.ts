import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../support/errors.js';
import { readTextIfPresent, writeFileAtomic } from '../../support/files.js';
import type { Job } from '../job.js';

const schema = z.object({
  /** Oldest first. A task belongs to the newest that has it. */
  submissions: z.array(
    z.object({
      /** Slurm's id of the array. */
      id: z.string().regex(/^\d+$/),
      at: z.iso.datetime(),
      indices: z.array(z.int().min(0)),
    }),
  ),
});

/** An array of tasks as it was handed to Slurm. */
export type Submission = z.output<typeof schema>['submissions'][number];

/** RUNS/jobs/ID/slurm.json. */
const submissionsFile = ({ folder }: Pick<Job, 'folder'>) => path.join(folder, 'slurm.json');

/** All arrays of a job, oldest first; none before it is submitted. @throws UserError if the file is damaged. */
export async function readSubmissions(job: Pick<Job, 'folder'>): Promise<Submission[]> {
  const file = submissionsFile(job);
  const text = await readTextIfPresent(file);
  if (text === null) return [];
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data.submissions;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UserError(
    `${file} is damaged: it names the arrays that Slurm was given for this job.`,
    'Look for them with squeue --me; the runs themselves are not affected.',
  );
}

/** @throws UserError if the folder cannot be written. */
export async function addSubmission(job: Pick<Job, 'folder'>, added: Submission): Promise<void> {
  const submissions = [...(await readSubmissions(job)), added];
  await writeFileAtomic(submissionsFile(job), `${JSON.stringify({ submissions }, null, 2)}\n`);
}

/** The array to which a task belongs now; null if it is in none. */
export function arrayIdOf(submissions: readonly Submission[], index: number): string | null {
  return submissions.findLast(({ indices }) => indices.includes(index))?.id ?? null;
}
