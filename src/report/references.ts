import path from 'node:path';

/** Numbers of the records that figures come from, in the order of their first use, for layouts that cannot link. */
export class References {
  private readonly numbers = new Map<string, number>();

  /** "[3]". */
  of(file: string): string {
    const number = this.numbers.get(file) ?? this.numbers.size + 1;
    this.numbers.set(file, number);
    return `[${number}]`;
  }

  /** The numbered files below their folders and without their ending, so that no line is long; of a run, its directory. */
  lines(): string[] {
    const folders = new Map<string, string[]>();
    for (const [file, number] of this.numbers) {
      const inRun = path.basename(file) === 'record.json';
      const folder = path.dirname(inRun ? path.dirname(path.dirname(file)) : file);
      const head = inRun ? `Records (record.json) of the runs in ${folder}:` : `Records in ${folder} (*.json):`;
      const name = path.relative(folder, inRun ? path.dirname(file) : file.replace(/\.json$/, ''));
      folders.set(head, [...(folders.get(head) ?? []), `[${number}] ${name}`]);
    }
    return [...folders].flatMap(([head, files]) => [head, ...files]);
  }
}
