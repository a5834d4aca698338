import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Environment variables that `fcn` gives the processes that it starts: a folder, and its own process number. */
export const LAUNCH_FOLDER = 'FCN_LAUNCH_FOLDER';
export const LAUNCHER = 'FCN_LAUNCHER';

/** The process by which whoever started the run knows it: the launcher if `fcn` is it, else this one. */
export function knownProcess(environment: NodeJS.ProcessEnv = process.env): number {
  const launcher = Number(environment[LAUNCHER]);
  return Number.isInteger(launcher) && launcher > 0 ? launcher : process.pid;
}

/** Files in that folder: the exit code of process 0, which mpirun may not pass on, and the system's number of each process. */
export const EXIT_CODE_FILE = 'exit-code';
export const processFile = (rank: number) => `process-${rank}`;

/** Milliseconds between two looks whether the launcher is still there. */
const LOOK_EVERY = 1000;

/** Tells the launcher, if it is `fcn`, what it needs. @param onOrphaned Called in process 0 if the launcher has been killed. */
export function reportToLauncher(
  rank: number,
  onOrphaned: () => void,
  environment: NodeJS.ProcessEnv = process.env,
): void {
  const folder = environment[LAUNCH_FOLDER];
  const launcher = Number(environment[LAUNCHER]);
  if (folder === undefined || !Number.isInteger(launcher)) return;
  // The folder is on the launcher's machine; process 0 is there, too.
  if (rank > 0 && !existsSync(folder)) return;
  writeFileSync(path.join(folder, processFile(rank)), `${process.pid}`);
  if (rank > 0) return;
  process.on('exit', (code) => {
    try {
      writeFileSync(path.join(folder, EXIT_CODE_FILE), `${code}`);
    } catch (error) {
      // The launcher was killed and its folder removed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  });
  const timer = setInterval(() => {
    try {
      process.kill(launcher, 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') return;
      clearInterval(timer);
      onOrphaned();
    }
  }, LOOK_EVERY);
  timer.unref();
}
