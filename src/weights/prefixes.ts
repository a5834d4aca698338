import type { StoredTensor } from './tensor.js';

/** What wrappers put before every name: DataParallel, torch.compile, and modules that hold the network as `model`. */
const PREFIXES = ['module.', '_orig_mod.', 'model.'] as const;

/** `AveragedModel` of torch.optim.swa_utils counts beside the network that it wraps. */
const COUNTER = 'n_averaged';

/** Tensors without the prefixes that all of their names have, one after the other, in any order. */
export function withoutPrefixes(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  const wrapped = [...tensors.keys()].filter((name) => name !== COUNTER);
  let length = 0;
  for (;;) {
    const prefix = PREFIXES.find((candidate) => wrapped.every((name) => isBefore(candidate, name, length)));
    if (prefix === undefined || wrapped.length === 0) break;
    length += prefix.length;
  }
  if (length === 0) return tensors;
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const bare = name === COUNTER ? name : name.slice(length);
      return [bare, { ...tensor, name: bare }];
    }),
  );
}

/** Whether a prefix stands at a place in a name, and something after it. */
function isBefore(prefix: string, name: string, at: number): boolean {
  return name.startsWith(prefix, at) && name.length > at + prefix.length;
}
