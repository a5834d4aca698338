import { type Backbone, findBackbone, loadBackbones } from '../recipe/backbones.js';
import { BACKBONE_LINK, type Experiment } from '../recipe/experiment.js';
import { selectRow, tablesOf } from '../recipe/select.js';
import { loadTables, type Row } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import { shellWords } from '../support/format.js';
import { type FileRequest, fileOf, weightsRequest } from './published.js';

/** The request for a published backbone. */
export function backboneRequest({ name, link, alternatives }: Backbone): FileRequest {
  const [wanted, ...others] = [link, ...alternatives].map((url) => fileOf(url)!);
  // A link is one of the user's own recipe, which alone names it. Which of the published ones a file is, its hash says.
  const command = BACKBONE_LINK.test(name) ? null : 'fcn weights fetch --backbones';
  return { subject: `the backbone ${name}`, owner: { backbone: name }, files: [wanted!, ...others], command };
}

/** The requests for all published backbones. */
export async function backboneRequests(): Promise<FileRequest[]> {
  return (await loadBackbones()).map(backboneRequest);
}

interface WantedFiles {
  readonly row: string | undefined;
  /** A table's file to read the row from, instead of those of the package. */
  readonly file: string | undefined;
  /** The row's backbone instead of its weights. */
  readonly backbone: boolean;
  /** All published backbones. */
  readonly backbones: boolean;
  /** Weights of all rows, and all published backbones. */
  readonly all: boolean;
  /** A file that was downloaded already: it is one of what is wanted, of everything if nothing is named. */
  readonly from: string | undefined;
}

interface FoundRequests {
  readonly requests: readonly FileRequest[];
  /** Rows of many whose file cannot be fetched. */
  readonly refused: readonly UserError[];
}

/**
 * The published files that are wanted.
 * @throws UserError if there are none, or `from` is none of them.
 */
export async function requestsFor(wanted: WantedFiles): Promise<FoundRequests> {
  const { from } = wanted;
  const { requests, refused } = await possibleRequests(wanted);
  // What is wrong with a file that can only be one is said when it is taken.
  if (from === undefined || requests.length === 1) return { requests, refused };
  return { requests: [await recognise(from, requests)], refused: [] };
}

async function possibleRequests(wanted: WantedFiles): Promise<FoundRequests> {
  const { row, file, backbones, all, from, backbone } = wanted;
  const isNamed = row !== undefined || file !== undefined;
  if (row !== undefined && (backbones || all)) {
    throw new UserError(
      `--${all ? 'all' : 'backbones'} is not about one row, but ${row} is given.`,
      'Leave one of them out.',
    );
  }
  if (backbones) return { requests: await backboneRequests(), refused: [] };
  if (all || (from !== undefined && !isNamed && !backbone)) {
    const rows = tablesOf(file).flatMap((table) => table.rows);
    const refused: UserError[] = [];
    const published = rows.flatMap((one) => {
      if (one.weights === null) return [];
      try {
        return [rowWeights(one, file)];
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        refused.push(error);
        return [];
      }
    });
    return { requests: [...published, ...(await backboneRequests())], refused };
  }
  return { requests: await requestsOfRow(wanted), refused: [] };
}

async function requestsOfRow({ row, file, backbone, from }: WantedFiles): Promise<FileRequest[]> {
  const chosen = selectRow(row, file);
  if (backbone) return [await rowBackbone(chosen)];
  const weights = rowWeights(chosen, file);
  const known = from === undefined ? null : await findBackbone(chosen.recipe.model.pretrained ?? '');
  return known === null ? [weights] : [weights, backboneRequest(known)];
}

/** @param file The experiment file that has the row; undefined for a row of the package. */
function rowWeights({ id, weights }: Pick<Row, 'id' | 'weights'>, file: string | undefined): FileRequest {
  const command = shellWords(['fcn', 'weights', 'fetch', id, ...(file === undefined ? [] : ['--file', file])]);
  return weightsRequest({ row: id, url: weights, command });
}

/**
 * The request for the published weights of an experiment's row. Only for a row of the package it names a command that fetches them: in
 * which experiment file another row is, an experiment does not say.
 * @throws UserError as `weightsRequest`.
 */
export function experimentWeights({ row, weights: url }: Pick<Experiment, 'row' | 'weights'>): FileRequest {
  const inPackage = loadTables().some(({ rows }) => rows.some(({ id, weights }) => id === row && weights === url));
  return inPackage ? rowWeights({ id: row, weights: url }, undefined) : weightsRequest({ row, url, command: null });
}

async function rowBackbone({ id, recipe }: Row): Promise<FileRequest> {
  const { pretrained } = recipe.model;
  const known = pretrained === null ? null : await findBackbone(pretrained);
  if (known !== null) return backboneRequest(known);
  throw new UserError(
    `${id} starts from no published backbone: model.pretrained is ${pretrained ?? 'null, from scratch'}.`,
    'fcn weights fetch --backbones fetches all published ones.',
  );
}

/** The request for the published file that this is, by its SHA-256. */
async function recognise(from: string, requests: readonly FileRequest[]): Promise<FileRequest> {
  const sha256 = await sha256File(from).catch((error) => {
    throw explainFileError(error, from, 'read');
  });
  const found = requests.find(({ files }) => files.some(({ hash }) => sha256.startsWith(hash)));
  if (found !== undefined) return found;
  throw new UserError(
    `${from} has SHA-256 ${sha256}: it is damaged, or none of the ${requests.length} published files that it may be.`,
    'Download the file again; fcn show ROW shows the links of a row.',
  );
}
