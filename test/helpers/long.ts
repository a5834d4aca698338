import test, { type ExecutionContext } from 'ava';

/**
 * Declares a test that only `npm run test:long` runs, among the fast ones of a file; whole files of such are named *.long.test.ts.
 * What it promises has a fast test, too.
 */
export function long(title: string, body: (t: ExecutionContext) => void | Promise<void>): void {
  if (process.env['FCN_TEST_LONG'] === '1') test.serial(title, body);
}
