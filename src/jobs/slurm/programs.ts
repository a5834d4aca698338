import { execa } from 'execa';

/** How a program of Slurm's ended. */
interface SlurmResult {
  readonly outcome: 'success' | 'failure' | 'absent' | 'killed';
  readonly stdout: string;
  /** What it said of a failure, in a line; empty without one. */
  readonly message: string;
}

/**
 * Variables with which sbatch would replace options of the script, or which tasks would take for their own. Others, such as SBATCH_ACCOUNT, stay: they are the user's defaults for
 * what the job does not say.
 */
const REPLACING = [
  ...['SBATCH_ARRAY_INX', 'SBATCH_OPEN_MODE', 'SBATCH_REQUEUE', 'SBATCH_NO_REQUEUE', 'SBATCH_SIGNAL', 'SBATCH_OUTPUT'],
  // Set where the command is itself part of a job; Slurm does not set it for the first start of a task.
  'SLURM_RESTART_COUNT',
  ...['SBATCH_ERROR', 'SBATCH_WAIT', 'SBATCH_JOB_NAME', 'SBATCH_CPUS_PER_TASK', 'SBATCH_NUM_NODES', 'SBATCH_NTASKS'],
] as const;

/** The variable that replaces an option of the script, where its name does not follow from the option's. */
const NAMES: Readonly<Record<string, string>> = { time: 'SBATCH_TIMELIMIT', mem: 'SBATCH_MEM_PER_NODE' };

/** The environment of sbatch, in which nothing replaces what the script says. @param given Options that it has. */
export function sbatchEnvironment(given: readonly string[], environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const removed: readonly string[] = [
    ...REPLACING,
    ...given.map((option) => NAMES[option] ?? `SBATCH_${option.toUpperCase()}`),
  ];
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !removed.includes(name)));
}

interface CallOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

/** "sbatch: error: Batch job submission failed: Invalid partition" → "Batch job submission failed: Invalid partition". */
function messageOf(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim().replace(/^\w+: (error: )?/, ''));
  return lines.filter((line) => line !== '' && !line.startsWith('Try "')).join('; ');
}

/** Calls a program of Slurm's. An absent one is an outcome, not an error. @throws the signal's reason on abort. */
export async function callSlurm(
  program: 'sbatch' | 'squeue' | 'scancel' | 'scontrol' | 'sinfo' | 'srun',
  parameters: readonly string[],
  { cwd, input, environment = process.env, signal }: CallOptions = {},
): Promise<SlurmResult> {
  const result = await execa(program, parameters, {
    reject: false,
    extendEnv: false,
    env: environment,
    // The queue of a large cluster.
    maxBuffer: 2 ** 30,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  const isAbsent = result.code === 'ENOENT' || result.code === 'EACCES';
  const outcome = result.exitCode === 0 ? 'success' : isAbsent ? 'absent' : result.isTerminated ? 'killed' : 'failure';
  return { outcome, stdout: String(result.stdout), message: messageOf(String(result.stderr)) };
}
