import os from 'node:os';
import type { ClusterOptions, OptionOrigins } from '../cluster-options.js';
import { written } from './findings.js';
import { callSlurm, sbatchEnvironment } from './programs.js';
import { givenOptions, slurmScript } from './script.js';

/** A script that is tested. */
interface Tested {
  readonly options: ClusterOptions;
  readonly origins: OptionOrigins;
  /** RUNS/jobs/ID, absolute; ID need not be known yet. */
  readonly folder: string;
  readonly tasks: number;
  readonly processes: number;
}

/** What Slurm says against a script; null if it accepts it. */
export async function refusalOfSlurm({ options, folder, tasks, processes }: Tested): Promise<string | null> {
  const { outcome, message } = await callSlurm('sbatch', ['--test-only'], {
    input: slurmScript(options, folder, { tasks, processes }),
    environment: sbatchEnvironment(givenOptions(options), process.env),
    cwd: os.tmpdir(),
  });
  return outcome === 'success' ? null : message === '' ? outcome : message;
}

/** The options that Slurm refuses in these words if they stand alone, as the user wrote them; none if it refuses a script without any. */
export async function refusedOptions(planned: Tested, refusal: string): Promise<string[]> {
  const { options, origins } = planned;
  const alone = (only: Partial<ClusterOptions>) =>
    refusalOfSlurm({ ...planned, tasks: 1, processes: 1, options: { sbatch: [], ...only } });
  if ((await alone({})) !== null) return [];
  const refused: string[] = [];
  for (const key of ['account', 'qos', 'constraint', 'partition'] as const) {
    if (options[key] !== undefined && (await alone({ [key]: options[key] })) === refusal) {
      refused.push(written(planned, key));
    }
  }
  // Those of the file come first.
  for (const [i, option] of options.sbatch.entries()) {
    if ((await alone({ sbatch: [option] })) !== refusal) continue;
    const origin = origins.get(`sbatch.${i}`);
    refused.push(`${option}${origin === undefined ? '' : ` (${origin})`}`);
  }
  return refused;
}
