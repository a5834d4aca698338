import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Pack } from 'tar-stream';
import { SYNTHETIC_MARKER } from '../../../data/markers.js';
import { type ZipContent, zipArchive } from '../../../support/zip-write.js';
import { listOf } from '../../prepare/recipe.js';
import type { Form, PlacedImage } from '../plan.js';
import type { ContextEntries } from './labels.js';

/** A file of a published archive, and how to get its bytes. */
export type ArchiveMember = ZipContent & TarContent;

const parse = async (member: ArchiveMember) =>
  JSON.parse(Buffer.from(await member.content()).toString('utf8')) as ContextEntries;

/** Pascal Context's merged annotations of what each member says of its image. One of them at a time is in memory. */
async function* merged(members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  const images: object[] = [];
  yield Buffer.from('{"annos_segmentation": [');
  let first = true;
  for (const member of members) {
    const { image, regions } = await parse(member);
    images.push(image);
    for (const region of regions) {
      yield Buffer.from(`${first ? '' : ', '}${JSON.stringify(region)}`);
      first = false;
    }
  }
  yield Buffer.from(`], "images": ${JSON.stringify(images)}}\n`);
}

/**
 * The bytes of an archive in pieces; its name says of which kind.
 * @throws UserError where a zip archive would be of 4 GiB or more.
 */
export function packed(file: string, members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  if (file.endsWith('.zip')) {
    return zipArchive(file, members, { packing: 'deflated', advice: 'Make fewer images, or smaller ones.' });
  }
  if (file.endsWith('.json')) return merged(members);
  return file.endsWith('.tar') ? tarArchive(members) : gzipped(tarArchive(members));
}

/** A member whose content is known. */
export function textMember(name: string, text: string): ArchiveMember {
  const bytes = Buffer.from(text);
  return { name, size: bytes.length, content: () => bytes };
}

/** A member whose content lies in a file of this size. An aborted signal ends the archive with its reason. */
export function fileMember(name: string, file: string, size: number, signal: AbortSignal | undefined): ArchiveMember {
  const content = async () => {
    signal?.throwIfAborted();
    return readFile(file);
  };
  return { name, size, content };
}

/** A file of an archive. Its content is asked for when its turn comes. */
interface TarContent {
  readonly name: string;
  content(): Uint8Array | Promise<Uint8Array>;
}

/** Archives of the same content are the same: no time but the first that zip knows, too. */
const FIRST_DATE = new Date(Date.UTC(1980, 0, 1));

async function fill(tar: Pack, entries: readonly TarContent[]): Promise<void> {
  for (const { name, content } of entries) {
    const bytes = Buffer.from(await content());
    await new Promise<void>((resolve, reject) => {
      const header = { name, size: bytes.length, mode: 0o644, mtime: FIRST_DATE };
      tar.entry(header, bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
  tar.finalize();
}

/** The bytes of a tar archive (POSIX ustar), in pieces. One content at a time is in memory. */
async function* tarArchive(entries: readonly TarContent[]): AsyncGenerator<Uint8Array> {
  const { pack } = await import('tar-stream');
  const tar = pack();
  // What goes wrong there ends the reading here.
  fill(tar, entries).catch((error: Error) => tar.destroy(error));
  yield* tar as AsyncIterable<Uint8Array>;
}

/** The same bytes, compressed with gzip. */
export async function* gzipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gzip = createGzip();
  // A failure ends `gzip` with it, and so the reading below.
  pipeline(Readable.from(pieces), gzip).catch(() => undefined);
  yield* gzip as AsyncIterable<Uint8Array>;
}

/** A file of an image in an archive. */
interface RawFile {
  readonly archive: string;
  readonly member: string;
  readonly form: Form;
}

/** An image of raw downloads. */
export interface RawImage extends PlacedImage {
  /** It is none of the data set's: another source than the one that the published figures are of has it in excess. */
  readonly spare: boolean;
}

/** How a data set is published: archives, what is in them of each image, and what besides. */
interface RawLayout {
  /** The source that has more images than the published figures are of, as the data set's description names it. */
  readonly otherSource?: string;
  readonly filesOf: (image: RawImage) => readonly RawFile[];
  /** Texts by archive and member. `marker` says in each archive that it is synthetic, wherever it is moved. */
  readonly textsOf: (
    images: readonly RawImage[],
    marker: string,
  ) => Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const namesOf = (images: readonly RawImage[], ...splits: readonly string[]) =>
  listOf(images.filter(({ split }) => splits.includes(split)).map(({ name }) => name));

const cityscapes: RawLayout = {
  filesOf: ({ name, source }) => {
    const label = `${source.labels}/${name}${source.labelSuffix}`;
    return [
      {
        archive: 'leftImg8bit_trainvaltest.zip',
        member: `${source.images}/${name}${source.imageSuffix}`,
        form: 'image',
      },
      {
        archive: 'gtFine_trainvaltest.zip',
        member: label.replace('labelTrainIds', 'labelIds'),
        form: 'cityscapes-label-ids',
      },
      {
        archive: 'gtFine_trainvaltest.zip',
        member: label.replace('labelTrainIds.png', 'polygons.json'),
        form: 'cityscapes-polygons',
      },
    ];
  },
  textsOf: (_images, marker) => ({
    'leftImg8bit_trainvaltest.zip': { [SYNTHETIC_MARKER]: marker },
    'gtFine_trainvaltest.zip': { [SYNTHETIC_MARKER]: marker },
  }),
};

/** One archive of images/ and annotations/, as the data set is used. */
function plain(archive: string, top: string): RawLayout {
  return {
    filesOf: ({ name, source }) => [
      { archive, member: `${top}/${source.images}/${name}${source.imageSuffix}`, form: 'image' },
      { archive, member: `${top}/${source.labels}/${name}${source.labelSuffix}`, form: 'labels' },
    ],
    textsOf: (_images, marker) => ({ [archive]: { [`${top}/${SYNTHETIC_MARKER}`]: marker } }),
  };
}

const VOC_2012 = { archive: 'VOCtrainval_11-May-2012.tar', top: 'VOCdevkit/VOC2012' } as const;
const SBD = { archive: 'benchmark.tgz', top: 'benchmark_RELEASE' } as const;

/** VOC labels its own train and val images; SBD all of them, in lists of its own, as it labels most of VOC's, too. */
const voc2012Aug: RawLayout = {
  filesOf: ({ name, source }) => [
    { archive: VOC_2012.archive, member: `${VOC_2012.top}/JPEGImages/${name}.jpg`, form: 'image' },
    ...(source.labels === 'SegmentationClass'
      ? [
          {
            archive: VOC_2012.archive,
            member: `${VOC_2012.top}/SegmentationClass/${name}.png`,
            form: 'labels',
          } as const,
        ]
      : []),
    { archive: SBD.archive, member: `${SBD.top}/dataset/cls/${name}.mat`, form: 'sbd-segmentation' },
  ],
  textsOf: (images, marker) => {
    const own = images.filter(({ source }) => source.labels === 'SegmentationClass');
    return {
      [VOC_2012.archive]: {
        [`${VOC_2012.top}/${SYNTHETIC_MARKER}`]: marker,
        [`${VOC_2012.top}/ImageSets/Segmentation/train.txt`]: namesOf(own, 'train'),
        [`${VOC_2012.top}/ImageSets/Segmentation/trainval.txt`]: namesOf(own, 'train', 'val'),
        [`${VOC_2012.top}/ImageSets/Segmentation/val.txt`]: namesOf(own, 'val'),
      },
      [SBD.archive]: {
        [`${SBD.top}/${SYNTHETIC_MARKER}`]: marker,
        [`${SBD.top}/dataset/train.txt`]: namesOf(images, 'train'),
        [`${SBD.top}/dataset/val.txt`]: namesOf(images, 'val'),
      },
    };
  },
};

const VOC_2010 = { archive: 'VOCtrainval_03-May-2010.tar', top: 'VOCdevkit/VOC2010' } as const;

/** The labels in both ways in which they are published: a map each, and merged in one file, which lacks some images. */
const pascalContext: RawLayout = {
  otherSource: 'label-maps',
  filesOf: ({ name, spare }) => [
    { archive: VOC_2010.archive, member: `${VOC_2010.top}/JPEGImages/${name}.jpg`, form: 'image' },
    { archive: 'trainval.tar.gz', member: `trainval/${name}.mat`, form: 'context-map' },
    ...(spare ? [] : [{ archive: 'trainval_merged.json', member: `${name}.json`, form: 'context-regions' } as const]),
  ],
  textsOf: (images, marker) => ({
    [VOC_2010.archive]: {
      [`${VOC_2010.top}/${SYNTHETIC_MARKER}`]: marker,
      [`${VOC_2010.top}/ImageSets/Main/train.txt`]: namesOf(images, 'train'),
      [`${VOC_2010.top}/ImageSets/Main/trainval.txt`]: namesOf(images, 'train', 'val'),
      [`${VOC_2010.top}/ImageSets/Main/val.txt`]: namesOf(images, 'val'),
    },
    'trainval.tar.gz': { [`trainval/${SYNTHETIC_MARKER}`]: marker },
    'trainval_merged.json': {},
  }),
};

/** By the id of the imitation. */
const LAYOUTS: Readonly<Record<string, RawLayout>> = {
  ade20k: plain('ADEChallengeData2016.zip', 'ADEChallengeData2016'),
  camvid: plain('camvid.zip', 'camvid'),
  cityscapes,
  'pascal-context': pascalContext,
  'voc2012-aug': voc2012Aug,
};

/** How what an imitation imitates is published. */
export function layoutOf(imitation: string): RawLayout {
  const layout = LAYOUTS[imitation];
  if (!layout) throw new Error(`No layout of raw downloads for ${imitation}.`);
  return layout;
}
