import { formatNumber, withoutControls } from '../support/format.js';
import { TERMINAL_WIDTH, wrap } from '../terminal/layout.js';
import { isAuxiliary, type LoadReport } from './load.js';
import type { LoadSummary } from './load-summary.js';

/** A load report with the number of loaded tensors in place of their names. */
export function summarise(report: LoadReport): LoadSummary {
  return { ...report, loaded: report.loaded.length };
}

/** Maximum number of names of a kind that are listed. */
const MOST_NAMES = 3;

/** The classifier of an ImageNet backbone, which no segmentation network has. */
const CLASSIFIER = /^(?:backbone\.)?fc\.(?:weight|bias)$/;

const INDENT = '  ';

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const text = `${names.length} ${what}: ${names.slice(0, MOST_NAMES).join(', ')}${more}`;
  return wrap(text, TERMINAL_WIDTH - INDENT.length).map((line) => `${INDENT}${line}`);
}

/**
 * How weights fit a network: one line if all is as expected, else a list of what is missing, has another shape, or is not used.
 * @param kind What was loaded. A backbone's file also holds a classifier, which is expected to be left out.
 */
export function formatLoadReport(
  kind: 'Backbone' | 'Weights',
  { loaded, missing, unexpected, wrongShape }: LoadSummary,
): string {
  const expected = loaded + missing.length + wrongShape.length;
  const classifier = kind === 'Backbone' ? unexpected.filter((name) => CLASSIFIER.test(name)) : [];
  const unused = unexpected.filter((name) => !classifier.includes(name));
  const leftOut = classifier.length === 0 ? '' : `; ${classifier.join(', ')} not used, as expected`;
  const auxiliary = [...missing, ...wrongShape.map(({ path }) => path)].filter(isAuxiliary);
  return [
    `${kind}: ${loaded} of ${formatNumber(expected, 'tensor')} loaded${leftOut}`,
    ...listed('missing in the file', missing),
    ...listed(
      'of another shape',
      wrongShape.map(({ path, expected: needed, found }) => `${path} [${found}] for [${needed}]`),
    ),
    ...listed('in the file but not used', unused.map(withoutControls)),
    ...(auxiliary.length > 0 ? [`${INDENT}The auxiliary head, which only training uses, was left out.`] : []),
  ].join('\n');
}
