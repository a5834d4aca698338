import { terminalTable } from '../report/layout.js';
import { formatSeconds } from '../support/format.js';
import type { Check } from './check.js';
import type { Verification } from './verify.js';

/** Marks a text as good or bad; without colours, leaves it. */
export type Paint = (text: string, good: boolean) => string;

/** A difference or a tolerance: counts as they are, anything else with two digits. */
function formatAmount(value: number, unit: Check['unit']): string {
  if (!Number.isFinite(value)) return 'no number';
  if (unit === 'pixels') return `${value} px`;
  if (unit === 'files') return String(value);
  if (unit === 'levels') return `${Number(value.toPrecision(2))} lv`;
  return value === 0 ? '0' : value.toExponential(1).replace('.0e', 'e');
}

function verdict(passed: boolean): string {
  return passed ? 'pass' : 'FAIL';
}

/** "r18 and r50: resized logits a". */
function absentLines(absent: Verification['absent']): string[] {
  const cases = new Map<string, string[]>();
  for (const { case: name, quantity } of absent) cases.set(quantity, [...(cases.get(quantity) ?? []), name]);
  return [...cases].map(([quantity, names]) => `  ${quantity}: ${names.join(', ')}`);
}

/** The table of a verification, what could not be compared, and the failures once more. */
export function formatVerification(found: Verification, paint: Paint): string {
  const { checks, absent, unread, engine, device, versions, set, seconds, passed } = found;
  const table = terminalTable({
    head: ['Case', 'Quantity', 'Tolerance', 'Worst', 'Verdict'],
    body: checks.map((check) => [
      check.case,
      check.quantity,
      formatAmount(check.tolerance, check.unit),
      formatAmount(check.difference, check.unit),
      paint(verdict(check.passed), check.passed),
    ]),
  });
  const failures = checks.filter((check) => !check.passed);
  const libraries = Object.entries(versions).map(([library, version]) => `${library} ${version}`);
  return [
    table,
    'px: pixels; lv: levels of 255; other figures are relative or absolute (--json says which, and why).',
    ...(absent.length === 0 ? [] : ['', 'Not in this set:', ...absentLines(absent)]),
    ...(unread.length === 0 ? [] : ['', 'Files that no check reads:', ...unread.map((file) => `  ${file}`)]),
    ...(failures.length === 0 ? [] : ['', paint('Failures:', false), ...failures.flatMap(failureLines)]),
    '',
    `${engine} engine on ${device}: ${libraries.join(', ')}`,
    `reference ${set}`,
    paint(
      passed
        ? `All ${checks.length} checks pass, in ${formatSeconds(seconds)}.`
        : `${failures.length} of ${checks.length} checks fail, in ${formatSeconds(seconds)}.`,
      passed,
    ),
  ].join('\n');
}

function failureLines({ case: name, quantity, difference, tolerance, unit, at, reason }: Check): string[] {
  const measured = `${formatAmount(difference, unit)}, at most ${formatAmount(tolerance, unit)}`;
  return [`  ${name}, ${quantity}: ${measured}`, `    worst at ${at}; ${reason}`];
}
