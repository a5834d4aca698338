import type { CommandWith, RunCheck } from '../../runs/run-check.js';
import type { ClusterOptions, OptionOrigins } from '../cluster-options.js';

/** What is wrong, and what to type instead. */
export const problem = (name: RunCheck['name'], text: string, ...next: readonly string[]): RunCheck => ({
  name,
  state: 'missing',
  text,
  next: next.length === 0 ? null : next.join('\n'),
});

/** What works, but not as one might expect. */
export const warning = (name: RunCheck['name'], text: string, next: string | null = null): RunCheck => ({
  name,
  state: 'warning',
  text,
  next,
});

/** What is wrong with an option, and the flags that replace it. */
export type Fixable = RunCheck & { readonly flags?: readonly string[] };

/** Options, and where they stand that are no flags. */
interface Asked {
  readonly options: ClusterOptions;
  readonly origins: OptionOrigins;
}

/** How the user wrote an option: "--mem 64G", or "mem: 64G (slurm.yaml:6)". */
export function written({ options, origins }: Asked, key: keyof ClusterOptions): string {
  const origin = origins.get(key);
  return origin === undefined ? `--${key} ${options[key]}` : `${key}: ${options[key]} (${origin})`;
}

/** What is wrong with an option, with a value that is right: where it stands, it is to be changed. */
export function wrong({ origins }: Asked, key: keyof ClusterOptions, text: string, value: string): Fixable {
  if (origins.has(key)) return problem('scheduler', `${text} Write ${key}: ${value} there.`);
  return { ...problem('scheduler', text), flags: [`--${key}`, value] };
}

/** The checks; one command, at the last of those that flags fix, has all these flags, because each of them alone would be refused. */
export function withCommand(found: readonly Fixable[], commandWith: CommandWith): RunCheck[] {
  const flags = found.flatMap((one) => one.flags ?? []);
  const last = found.findLastIndex((one) => one.flags !== undefined);
  return found.map(({ flags: own, ...check }, i) => {
    if (own === undefined) return check;
    return { ...check, next: i === last ? commandWith(flags) : null };
  });
}
