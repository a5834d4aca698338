/** Data that notes which of its values are read, so that a comparison can say what it has left out. */
export class ReadTracker<T extends object> {
  private readonly read = new Set<string>();
  readonly value: T;

  constructor(private readonly source: T) {
    this.value = this.tracked(source, '') as T;
  }

  /** Paths of the values that nothing has read yet; a list is one value. */
  unread(): string[] {
    return leafPaths(this.source).filter((path) => !this.read.has(path));
  }

  private tracked(inner: object, prefix: string): object {
    return new Proxy(inner, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof key !== 'string') return value;
        if (isSection(value)) return this.tracked(value, `${prefix}${key}.`);
        this.read.add(`${prefix}${key}`);
        return value;
      },
    });
  }
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function leafPaths(section: object, prefix = ''): string[] {
  return Object.entries(section).flatMap(([key, value]) =>
    isSection(value) ? leafPaths(value, `${prefix}${key}.`) : [`${prefix}${key}`],
  );
}
