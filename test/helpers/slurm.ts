import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a Slurm of one machine consists of. Debian has the daemons in sbin, which is not on everybody's path. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const PROGRAMS = ['munged', 'mungekey', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'scontrol', 'scancel'];

const isInstalled = (program: string) => PATH.split(':').some((folder) => existsSync(path.join(folder, program)));

/** Whether this machine can have a Slurm of its own. */
export const hasSlurm = process.platform === 'linux' && PROGRAMS.every(isInstalled);

interface SlurmOptions {
  /** Processors that the node says it has. */
  readonly cpus?: number;
}

/** A Slurm of one node, this machine, with daemons, keys and ports of its own. */
export interface Slurm {
  /** Variables that the programs of Slurm need. */
  readonly environment: { readonly PATH: string; readonly SLURM_CONF: string };
  /** Runs one of them and returns what it prints. */
  call(program: string, ...parameters: string[]): string;
  /** Restarts the controller, which remembers its jobs. */
  restart(): Promise<void>;
  /** Restarts the controller without its state: it knows no job any more, and counts them from 1 again. */
  forget(): Promise<void>;
  /** The daemons' logs, for a test that failed. */
  logs(): string;
  stop(): Promise<void>;
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => void server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('No port.');
  return address.port;
}

async function configuration(folder: string, { cpus = 16 }: SlurmOptions): Promise<string> {
  const host = os.hostname().split('.')[0]!;
  const user = os.userInfo().username;
  const [controller, node] = [await freePort(), await freePort()];
  return [
    'ClusterName=fcn-test',
    `SlurmctldHost=${host}(127.0.0.1)`,
    `SlurmUser=${user}`,
    `SlurmdUser=${user}`,
    `SlurmctldPort=${controller}`,
    `SlurmdPort=${node}`,
    `AuthInfo=socket=${folder}/munge.socket`,
    `StateSaveLocation=${folder}/state`,
    `SlurmdSpoolDir=${folder}/spool`,
    `SlurmctldPidFile=${folder}/slurmctld.pid`,
    `SlurmdPidFile=${folder}/slurmd.pid`,
    `SlurmctldLogFile=${folder}/slurmctld.log`,
    `SlurmdLogFile=${folder}/slurmd.log`,
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'MpiDefault=none',
    'ReturnToService=2',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core_Memory',
    'DefMemPerCPU=500',
    'AccountingStorageType=accounting_storage/none',
    'JobAcctGatherType=jobacct_gather/none',
    'PreemptType=preempt/partition_prio',
    'PreemptMode=REQUEUE',
    // More processors than the machine has: tasks run side by side.
    'SlurmdParameters=config_overrides',
    // As soon as possible; usually it is every minute.
    'SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1',
    'KillWait=20',
    `NodeName=${host} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=16000 Feature=here State=UNKNOWN`,
    `PartitionName=main Nodes=${host} Default=YES MaxTime=1:00:00 PriorityTier=1 State=UP`,
    `PartitionName=urgent Nodes=${host} MaxTime=INFINITE PriorityTier=2 State=UP`,
    '',
  ].join('\n');
}

/** What ends a daemon when this process is killed; nothing where it is not installed. */
const PREFIX = isInstalled('setpriv') ? ['setpriv', '--pdeathsig', 'TERM'] : [];

/** Starts a daemon that stays in the foreground; its output goes to its log. */
function daemon(program: string, parameters: readonly string[], environment: NodeJS.ProcessEnv): ChildProcess {
  const [first, ...others] = [...PREFIX, program, ...parameters];
  const child = spawn(first!, others, { env: environment, stdio: 'ignore' });
  child.on('error', () => {});
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = sleep(5000, 'late' as const, { ref: false });
  if ((await Promise.race([ended, late])) === 'late') child.kill('SIGKILL');
}

/** Starts one in a temporary folder. `stop` removes all of it. @throws an Error with the logs if the node does not become ready. */
export async function startSlurm(options: SlurmOptions = {}): Promise<Slurm> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-slurm-'));
  // Everybody may pass through it: munge refuses sockets that nobody could reach.
  chmodSync(folder, 0o755);
  for (const name of ['state', 'spool']) mkdirSync(path.join(folder, name), { mode: 0o755 });
  const conf = path.join(folder, 'slurm.conf');
  writeFileSync(conf, await configuration(folder, options));
  const own = { PATH, SLURM_CONF: conf };
  const environment: NodeJS.ProcessEnv = { ...process.env, ...own };
  const inFolder = (name: string) => path.join(folder, name);
  execFileSync('mungekey', ['--create', `--keyfile=${inFolder('munge.key')}`], { env: environment });
  const munge = [
    '--foreground',
    '--force',
    `--key-file=${inFolder('munge.key')}`,
    `--socket=${inFolder('munge.socket')}`,
    `--pid-file=${inFolder('munge.pid')}`,
    `--seed-file=${inFolder('munge.seed')}`,
    `--log-file=${inFolder('munge.log')}`,
  ];
  const munged = daemon('munged', munge, environment);
  const controller = (...flags: string[]) => daemon('slurmctld', ['-D', '-f', conf, ...flags], environment);
  const slurm: { controller?: ChildProcess; node?: ChildProcess } = {};
  const stop = async () => {
    for (const child of [slurm.node, slurm.controller, munged]) if (child !== undefined) await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const logs = () =>
    ['munge.log', 'slurmctld.log', 'slurmd.log']
      .map((name) => `== ${name}\n${existsSync(inFolder(name)) ? readFileSync(inFolder(name), 'utf8') : ''}`)
      .join('\n');
  const call = (program: string, ...parameters: string[]) => {
    const { status, stdout, stderr } = spawnSync(program, parameters, { env: environment, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${status}: ${stderr}`);
    return stdout;
  };
  const isIdle = () => {
    const { stdout } = spawnSync('sinfo', ['-h', '-p', 'main', '-o', '%T'], { env: environment, encoding: 'utf8' });
    return stdout.trim() === 'idle';
  };
  const restart = async (...flags: string[]) => {
    if (slurm.controller !== undefined) await end(slurm.controller);
    slurm.controller = controller(...flags);
    await until(() => spawnSync('scontrol', ['ping'], { env: environment }).status === 0, 30);
  };
  const forget = async () => {
    await restart('-c');
    await until(isIdle, 30);
  };
  try {
    await until(() => existsSync(inFolder('munge.socket')), 10);
    slurm.controller = controller('-i');
    slurm.node = daemon('slurmd', ['-D', '-f', conf], environment);
    await until(isIdle, 30);
  } catch (error) {
    const text = logs();
    await stop();
    throw new Error(`Slurm did not start: ${(error as Error).message}\n${text}`);
  }
  return { environment: own, call, restart: () => restart(), forget, logs, stop };
}

/** Waits until something holds. @throws an Error after so many seconds. */
export async function until(holds: () => boolean | Promise<boolean>, seconds: number): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Nothing came in ${seconds} s of what was waited for: ${holds}`);
    await sleep(100);
  }
}
