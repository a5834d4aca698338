import path from 'node:path';
import test from 'ava';
import { encodePng } from '../../src/data/png-write.js';
import { labelMatrix, writeMatlab } from '../../src/datasets/generate/raw/matlab-write.js';
import { fcn } from './command.js';
import { temporaryFolder } from './folder.js';
import { type RawDownloads, rawAde, rawVoc, writePacked } from './raw-downloads.js';

/** Writes downloads as archives into a folder `downloads`. */
export async function downloads(folder: string, raw: RawDownloads): Promise<string> {
  const from = path.join(folder, 'downloads');
  await writePacked(from, raw);
  return from;
}

/** A change to downloads of a data set, and what the command must say. */
export interface Fault {
  readonly title: string;
  readonly make: () => Promise<RawDownloads>;
  readonly change: (raw: RawDownloads) => void | Promise<void>;
  readonly stderr: RegExp;
}

const SBD_4 = 'benchmark_RELEASE/dataset/cls/2008_000004.mat';
const sbdFile = (height: number, width: number, label: number) => {
  const map = { height, width, data: new Uint8Array(height * width).fill(label) };
  return writeMatlab({ GTcls: { struct: { Segmentation: labelMatrix(map, 'uint8') } } });
};

/** A change to the fourth label map of SBD. */
const ofSbd = (file: Buffer | null): Pick<Fault, 'make' | 'change'> => ({
  make: rawVoc,
  change: ({ archives }) => {
    if (file === null) delete archives['benchmark.tgz']![SBD_4];
    else archives['benchmark.tgz']![SBD_4] = file;
  },
});

const version73 = writeMatlab({});
version73.writeUInt16LE(0x0200, 124);

export const FAULTS: readonly Fault[] = [
  {
    title: 'a download that is missing',
    make: rawVoc,
    change: ({ archives }) => {
      delete archives['benchmark.tgz'];
    },
    stderr: /^> Downloads\nerror: .*benchmark\.tgz \(the labels of SBD\) is neither packed nor .*\nnext: .*--from.*\n$/,
  },
  {
    title: 'a file that is missing in a download',
    ...ofSbd(null),
    stderr: /\nerror: \/.*benchmark\.tgz: dataset\/cls\/2008_000004\.mat is not in it.*\nnext: .*fetch it again.*\n$/,
  },
  {
    title: 'a label map of the wrong size',
    ...ofSbd(sbdFile(2, 3, 1)),
    stderr:
      /\nerror: .*2008_000004\.png is 3×2 pixels, but its image is 9×6\.\nnext: Made from .*benchmark\.tgz: .*\.mat: /,
  },
  {
    title: 'a .mat file of another version',
    ...ofSbd(version73),
    stderr:
      /\nerror: \/.*benchmark\.tgz: .*2008_000004\.mat: a MAT-file of version 7\.3 .*\nnext: .*save it with -v7, or .*\n$/,
  },
  {
    title: 'a label map with an unknown id',
    ...ofSbd(sbdFile(6, 9, 21)),
    stderr:
      /\nerror: \/.*2008_000004\.mat: the label 21 at row 0, column 0 is not a class.*\nnext: It is from another release/,
  },
  {
    title: 'an image with an unknown id in its label',
    make: () => rawAde(),
    change: async ({ archives }) => {
      const size = { height: 6, width: 9 };
      const ids = await encodePng(new Uint8Array(54).fill(151), size, { colourType: 'grey', filter: 'none', level: 1 });
      archives['ADEChallengeData2016.zip']!['ADEChallengeData2016/annotations/validation/ADE_val_00000001.png'] = ids;
    },
    stderr:
      /\nerror: .*label value 151 at column 0, row 0 is no class of ADE20K.*\nnext: Made from .*ADE_val_00000001\.png: /,
  },
];

/** Declares a test that the command refuses such a fault, and prepares the data set from the right download. */
export function testFault({ title, make, change, stderr }: Fault): void {
  test(`${title} ends it with 2, nothing is accepted, and the right download solves it`, async (t) => {
    const cwd = await temporaryFolder(t);
    const raw = await make();
    await change(raw);
    const from = await downloads(cwd, raw);
    const prepare = () => fcn(['datasets', 'prepare', raw.dataset, '--from', from], { cwd });
    const verify = () => fcn(['datasets', 'verify', raw.dataset, '--fast'], { cwd });
    const broken = await prepare();
    t.is(broken.code, 2);
    t.is(broken.stdout, '');
    t.regex(broken.stderr, stderr);
    t.notRegex(broken.stderr, / {4}at /);
    t.is((await verify()).code, 2);
    await writePacked(from, await make());
    const mended = await prepare();
    t.is(mended.code, 0, mended.stderr);
    t.is((await verify()).code, 0);
  });
}
