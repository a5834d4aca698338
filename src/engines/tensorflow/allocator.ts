import type { HostAddon } from './host.js';

/** Of glibc: the variable that sets it when a process starts, the parameter of mallopt (malloc.h), and its value here. */
const SETTINGS = [
  // By default every thread of TensorFlow's pool gets an arena of its own, each with free memory that the others cannot use.
  { variable: 'MALLOC_ARENA_MAX', parameter: -8, value: 1 },
  // Smaller blocks come from the heap. By default both limits rise whenever a larger block is freed, at any time in a run, and
  // the process's memory with them. This is the highest that glibc takes: lower ones slow the steps.
  { variable: 'MALLOC_MMAP_THRESHOLD_', parameter: -3, value: 32 * 2 ** 20 },
  // What is free at the heap's end goes back to the system where it is more.
  { variable: 'MALLOC_TRIM_THRESHOLD_', parameter: -1, value: 8 * 2 ** 20 },
] as const;

/**
 * Sets glibc's allocator for what is loaded from now on. Its environment variables (MALLOC_*) are read only when a process
 * starts; those that the user has set stay in force. Elsewhere this does nothing.
 */
export function tuneAllocator(host: HostAddon, environment: NodeJS.ProcessEnv = process.env): void {
  for (const { variable, parameter, value } of SETTINGS)
    if (environment[variable] === undefined) host.setAllocator(parameter, value);
}
