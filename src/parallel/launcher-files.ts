import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** Environment variables that `fcn` gives the processes that it starts: a folder, and its own process number. */
export const LAUNCH_FOLDER = 'FCN_LAUNCH_FOLDER';
export const LAUNCHER = 'FCN_LAUNCHER';

/** Files in that folder: the process number of process 0, to which signals go, and its exit code, which mpirun may not pass on. */
export const PROCESS_FILE = 'process';
export const EXIT_CODE_FILE = 'exit-code';

/** Milliseconds between two looks whether the launcher is still there. */
const LOOK_EVERY = 1000;

/** In process 0: tells its launcher, if it is `fcn`, what that needs. @param onOrphaned Called if the launcher has been killed. */
export function reportToLauncher(onOrphaned: () => void, environment: NodeJS.ProcessEnv = process.env): void {
  const folder = environment[LAUNCH_FOLDER];
  const launcher = Number(environment[LAUNCHER]);
  if (folder === undefined || !Number.isInteger(launcher)) return;
  writeFileSync(path.join(folder, PROCESS_FILE), `${process.pid}`);
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
