import type { HostAddon } from './host.js';

/** glibc's mallopt parameters (malloc.h). */
const M_ARENA_MAX = -8;

/**
 * Sets glibc's allocator for what is loaded from now on. Its environment variables (MALLOC_*) are read only when a process
 * starts; those that the user has set stay in force. Elsewhere this does nothing.
 *
 * One arena: by default every thread of TensorFlow's pool gets its own, each with free memory that the others cannot use.
 */
export function tuneAllocator(host: HostAddon, environment: NodeJS.ProcessEnv = process.env): void {
  if (environment['MALLOC_ARENA_MAX'] === undefined) host.setAllocator(M_ARENA_MAX, 1);
}
