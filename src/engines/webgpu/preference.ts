import type { AdapterChoice } from './adapters.js';

let preferred: AdapterChoice = {};

/** Says which adapter the webgpu engine of this process is to use. A process has one engine, so it has one adapter. */
export function preferAdapter(choice: AdapterChoice): void {
  preferred = choice;
}

export function preferredAdapter(): AdapterChoice {
  return preferred;
}
