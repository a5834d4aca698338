import test from 'ava';
import { showableRelations } from '../../src/cli/help.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

for (const command of ['reproduce', 'doctor', 'train']) {
  test(`the usage of fcn ${command} has no empty places`, async (t) => {
    const { code, stdout } = await fcn([command, '--help'], { cwd: await temporaryFolder(t) });
    t.is(code, 0);
    const usage = /^USAGE\n(.*?)\n\n/ms.exec(stdout)![1]!.replaceAll(/\s+/g, ' ');
    t.notRegex(usage, /\[ | \]|\| \||\(\)|\[\]/);
    t.true(usage.includes('[--profile full|smoke]'), usage);
    if (command !== 'train') t.true(usage.includes('[--all | --table TABLE]'), usage);
    t.is(usage.match(/--[a-z-]+/g)!.length, new Set(usage.match(/--[a-z-]+/g)).size, 'each flag once');
  });
}

test('flags that exclude each other share brackets once; what they depend on does not count', (t) => {
  const shown = showableRelations({
    ...{ all: { exclusive: ['table', 'none'] }, table: { exclusive: ['all'] }, file: { exclusive: ['table'] } },
    ...{ cpus: { dependsOn: ['executor'] } },
  });
  t.deepEqual(shown, {
    ...{ all: { exclusive: ['table'] }, table: { exclusive: [] }, file: { exclusive: [] }, cpus: { exclusive: [] } },
  });
});
