import { CommandHelp, Help } from '@oclif/core/help';

/** What a usage line is made of. */
interface UsageFlag {
  readonly dependsOn?: readonly string[];
  readonly exclusive?: readonly string[];
}

/**
 * Flags with the relations that a usage line can show. oclif puts the flags of a relation into one pair of brackets and forgets them: a
 * second flag with the same partner would stand beside an empty place, `[--cpus N ]`. So each partner counts once, and what a flag
 * depends on is left to its description.
 */
export function showableRelations<Flag extends UsageFlag>(flags: Readonly<Record<string, Flag>>): Record<string, Flag> {
  const taken = new Set<string>();
  return Object.fromEntries(
    Object.entries(flags).map(([name, { dependsOn: _, ...flag }]) => {
      const isFree = (one: string) => one in flags && one !== name && !taken.has(one);
      const partners = taken.has(name) ? [] : (flag.exclusive ?? []).filter(isFree);
      if (partners.length > 0) for (const one of [name, ...partners]) taken.add(one);
      return [name, { ...flag, exclusive: partners } as unknown as Flag];
    }),
  );
}

class OwnCommandHelp extends CommandHelp {
  protected override defaultUsage(): string {
    const { command } = this;
    const visible = Object.entries(command.flags).filter(([, flag]) => !flag.hidden);
    // oclif makes the line of what the object has.
    this.command = { ...command, flags: showableRelations(Object.fromEntries(visible)) };
    try {
      return super.defaultUsage();
    } finally {
      this.command = command;
    }
  }
}

/** The help of oclif, with usage lines that have no empty places. package.json names it. */
export default class OwnHelp extends Help {
  protected override CommandHelpClass = OwnCommandHelp;
}
