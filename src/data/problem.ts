import path from 'node:path';

/** Kinds of what can be wrong with a data set, each as a sentence about several files goes on after their number. */
export const PROBLEM_KINDS = {
  folder: 'folders or lists cannot be used',
  'no image': 'sources of splits have no image with its label',
  'missing image': 'images that a list names do not exist',
  'missing label': 'images have no label',
  'spare label': 'labels are of no image',
  'repeated name': 'names are in a list more than once',
  'repeated image': 'images are in a split more than once',
  'shared image': 'images are in two splits',
  'number of images': 'splits have another number of images than expected',
  'image file': 'images cannot be read',
  'label file': 'label maps cannot be read',
  'label value': 'label maps hold what is no class',
  'image size': 'images have another size than expected',
  'label size': 'label maps have another size than their images',
  'absent class': 'splits lack classes',
  deviation: 'ways in which it is not the published data set',
  'changed file': 'files are not as they were prepared',
} as const;

/** What is wrong with a file. */
export interface FileProblem {
  readonly file: string;
  readonly kind: keyof typeof PROBLEM_KINDS;
  /** A whole sentence that names the file. */
  readonly message: string;
  /** What tells this one from others of its kind, in a few words. */
  readonly detail?: string;
}

/** What is wrong with a data set. */
export interface Problem extends FileProblem {
  /** Null where that cannot be told. */
  readonly split: string | null;
}

/** Of one kind, so many are told one by one; beyond that, so many are examples. */
const EXAMPLES = 3;

/**
 * A sentence for each problem; where there are many of a kind, one for all of them, with their number and three examples.
 * @param folder The data set's, below which examples are named.
 */
export function summariseProblems(problems: readonly FileProblem[], folder: string): string[] {
  const byKind = new Map<FileProblem['kind'], FileProblem[]>();
  for (const problem of problems) {
    const same = byKind.get(problem.kind);
    if (same) same.push(problem);
    else byKind.set(problem.kind, [problem]);
  }
  return [...byKind].flatMap(([kind, same]) => {
    if (same.length <= EXAMPLES) return same.map(({ message }) => message);
    const examples = same.slice(0, EXAMPLES).map(({ file, detail }) => {
      const name = path.relative(path.resolve(folder), path.resolve(file));
      return detail === undefined ? name : `${name} (${detail})`;
    });
    return [
      `${same.length} ${PROBLEM_KINDS[kind]}, such as ${examples.slice(0, -1).join(', ')} and ${examples.at(-1)}.`,
    ];
  });
}
