import { SYNTHETIC_MARKER } from '../../../data/markers.js';
import { listOf } from '../../prepare/recipe.js';
import type { Form, PlacedImage } from '../plan.js';

/** A file of an image, in an archive. */
interface RawFile {
  readonly archive: string;
  readonly member: string;
  readonly form: Form;
}

/** An image of raw downloads. */
export interface RawImage extends PlacedImage {
  /** It is not in the data set: only another source has it than the one on which the published figures are based. */
  readonly spare: boolean;
}

/** The archives in which a data set is published, and their files. */
interface RawLayout {
  /** The source that has spare images, by its key in the data set's description. */
  readonly otherSource?: string;
  readonly filesOf: (image: RawImage) => readonly RawFile[];
  /** Texts by archive and member. `marker` says in each archive that it is synthetic, even if the archive is moved. */
  readonly textsOf: (
    images: readonly RawImage[],
    marker: string,
  ) => Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const namesOf = (images: readonly RawImage[], ...splits: readonly string[]) =>
  listOf(images.filter(({ split }) => splits.includes(split)).map(({ name }) => name));

/** The lists of a VOC archive, by path. */
function vocLists(folder: string, images: readonly RawImage[]): Readonly<Record<string, string>> {
  return {
    [`${folder}/train.txt`]: namesOf(images, 'train'),
    [`${folder}/trainval.txt`]: namesOf(images, 'train', 'val'),
    [`${folder}/val.txt`]: namesOf(images, 'val'),
  };
}

const LEFT_IMAGES = 'leftImg8bit_trainvaltest.zip';
const FINE_ANNOTATIONS = 'gtFine_trainvaltest.zip';

const cityscapes: RawLayout = {
  filesOf: ({ name, source }) => {
    const labelIds = `${source.labels}/${name}${source.labelSuffix.replace('labelTrainIds', 'labelIds')}`;
    const polygons = labelIds.replace('labelIds.png', 'polygons.json');
    return [
      { archive: LEFT_IMAGES, member: `${source.images}/${name}${source.imageSuffix}`, form: 'image' },
      { archive: FINE_ANNOTATIONS, member: labelIds, form: 'cityscapes-label-ids' },
      { archive: FINE_ANNOTATIONS, member: polygons, form: 'cityscapes-polygons' },
    ];
  },
  textsOf: (_images, marker) => ({
    [LEFT_IMAGES]: { [SYNTHETIC_MARKER]: marker },
    [FINE_ANNOTATIONS]: { [SYNTHETIC_MARKER]: marker },
  }),
};

/** One archive of images/ and annotations/, published as it is used. */
function singleArchive(archive: string, top: string): RawLayout {
  return {
    filesOf: ({ name, source }) => [
      { archive, member: `${top}/${source.images}/${name}${source.imageSuffix}`, form: 'image' },
      { archive, member: `${top}/${source.labels}/${name}${source.labelSuffix}`, form: 'labels' },
    ],
    textsOf: (_images, marker) => ({ [archive]: { [`${top}/${SYNTHETIC_MARKER}`]: marker } }),
  };
}

const VOC_2012 = 'VOCtrainval_11-May-2012.tar';
const VOC_2012_TOP = 'VOCdevkit/VOC2012';
const SBD = 'benchmark.tgz';
const SBD_TOP = 'benchmark_RELEASE';

const hasVocLabel = ({ source }: RawImage) => source.labels === 'SegmentationClass';

/** VOC labels its own train and val images. SBD labels all images, and has its own lists. */
const voc2012Aug: RawLayout = {
  filesOf: (image) => {
    const { name } = image;
    const files: RawFile[] = [
      { archive: VOC_2012, member: `${VOC_2012_TOP}/JPEGImages/${name}.jpg`, form: 'image' },
      { archive: SBD, member: `${SBD_TOP}/dataset/cls/${name}.mat`, form: 'sbd-segmentation' },
    ];
    if (hasVocLabel(image)) {
      files.push({ archive: VOC_2012, member: `${VOC_2012_TOP}/SegmentationClass/${name}.png`, form: 'labels' });
    }
    return files;
  },
  textsOf: (images, marker) => ({
    [VOC_2012]: {
      [`${VOC_2012_TOP}/${SYNTHETIC_MARKER}`]: marker,
      ...vocLists(`${VOC_2012_TOP}/ImageSets/Segmentation`, images.filter(hasVocLabel)),
    },
    [SBD]: {
      [`${SBD_TOP}/${SYNTHETIC_MARKER}`]: marker,
      [`${SBD_TOP}/dataset/train.txt`]: namesOf(images, 'train'),
      [`${SBD_TOP}/dataset/val.txt`]: namesOf(images, 'val'),
    },
  }),
};

const VOC_2010 = 'VOCtrainval_03-May-2010.tar';
const VOC_2010_TOP = 'VOCdevkit/VOC2010';

/** The labels in both published forms: a map for each image, and merged in one file, which lacks the spare images. */
const pascalContext: RawLayout = {
  otherSource: 'label-maps',
  filesOf: ({ name, spare }) => {
    const files: RawFile[] = [
      { archive: VOC_2010, member: `${VOC_2010_TOP}/JPEGImages/${name}.jpg`, form: 'image' },
      { archive: 'trainval.tar.gz', member: `trainval/${name}.mat`, form: 'context-map' },
    ];
    if (!spare) files.push({ archive: 'trainval_merged.json', member: `${name}.json`, form: 'context-regions' });
    return files;
  },
  textsOf: (images, marker) => ({
    [VOC_2010]: {
      [`${VOC_2010_TOP}/${SYNTHETIC_MARKER}`]: marker,
      ...vocLists(`${VOC_2010_TOP}/ImageSets/Main`, images),
    },
    'trainval.tar.gz': { [`trainval/${SYNTHETIC_MARKER}`]: marker },
    'trainval_merged.json': {},
  }),
};

/** By id of the imitation. */
const LAYOUTS: Readonly<Record<string, RawLayout>> = {
  ade20k: singleArchive('ADEChallengeData2016.zip', 'ADEChallengeData2016'),
  camvid: singleArchive('camvid.zip', 'camvid'),
  cityscapes,
  'pascal-context': pascalContext,
  'voc2012-aug': voc2012Aug,
};

/** The layout in which the original of an imitation is published. */
export function layoutOf(imitation: string): RawLayout {
  const layout = LAYOUTS[imitation];
  if (!layout) throw new Error(`No layout of raw downloads for ${imitation}.`);
  return layout;
}
