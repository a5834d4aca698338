import { readdirSync, statSync } from 'node:fs';
import { appendFile, copyFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { type RawDownloads, rawAde, rawCamvid, rawVoc, writePacked, writeUnpacked } from '../helpers/raw-downloads.js';
import { smallDisk } from '../helpers/small-disk.js';

async function downloads(folder: string, raw: RawDownloads): Promise<string> {
  const from = path.join(folder, 'downloads');
  await writePacked(from, raw);
  return from;
}

test('a data set is prepared by the command, which says what it does and what came out', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawVoc());
  const first = await fcn(['datasets', 'prepare', 'voc2012-aug', '--from', from], { cwd });
  t.is(first.code, 0, first.stderr);
  t.regex(
    first.stderr,
    /^> Downloads\n {2}VOCtrainval_11-May-2012\.tar, benchmark\.tgz: 4 train and 1 val images\n> Files\n/,
  );
  t.regex(first.stderr, /> Check\n {2}5 images and their labels are as they should be\n$/);
  t.regex(first.stdout, /VOC2012: 4 train and 1 val images \(synthetic\), 18 files, 18 made now\.\n/);
  t.regex(first.stdout, / {2}from benchmark\.tgz .* sha256 [0-9a-f]{16}…\n/);
  const json = await fcn(['datasets', 'prepare', 'voc2012-aug', '--from', from, '--json'], { cwd });
  t.is(json.stderr, '');
  t.like(JSON.parse(json.stdout), { dataset: 'voc2012-aug', images: { train: 4, val: 1 }, files: 18, made: 0 });
});

test('a broken download is one line that names it and one that says what to do', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawVoc());
  await writeFile(path.join(from, 'benchmark.tgz'), '<html>404</html>');
  const { code, stderr, stdout } = await fcn(['datasets', 'prepare', 'voc2012-aug', '--from', from], { cwd });
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(stderr, /^> Downloads\nerror: \/.*benchmark\.tgz: the archive is damaged: .*\.\nnext: Fetch it again .*\n$/);
});

test('Ctrl-C ends it with 130, and the same command goes on where it stopped', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawAde(400));
  const folder = path.join(cwd, 'datasets/data/ade/ADEChallengeData2016');
  const journal = path.join(folder, '.fcn-preparing.jsonl');
  const parameters = ['datasets', 'prepare', 'ade20k', '--from', from, '--workers', '1'];
  const { code, stderr } = await fcn(parameters, {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && !(statSync(journal, { throwIfNoEntry: false })?.size ?? 0)) await sleep(5);
      child.kill('SIGINT');
    },
  });
  t.is(code, 130, stderr);
  t.true(readdirSync(folder).includes('.fcn-preparing.json'));
  t.false(readdirSync(folder, { recursive: true }).some((file) => String(file).endsWith('.tmp')));
  const doctor = await fcn(['doctor'], { cwd });
  t.regex(doctor.stdout, /✗ ade20k .*the preparation of this data set is not finished/);
  const unfinished = await fcn(['datasets', 'verify', 'ade20k', '--fast'], { cwd });
  t.is(unfinished.code, 2);
  t.regex(unfinished.stderr, /not finished .*\nnext: Run fcn datasets prepare ade20k --from/);
  const list = await fcn(['datasets', 'list'], { cwd });
  t.regex(list.stdout, /│ ade20k .*│ unfinished +│/);
  t.regex(list.stdout, /✗ ade20k: .*not finished .*\n {2}Run fcn datasets prepare ade20k --from/);
  t.notRegex(list.stdout, /broken|says more/);
  const done = readdirSync(path.join(folder, 'images/training')).length;
  const resumed = await fcn([...parameters, '--json'], { cwd });
  t.is(resumed.code, 0, resumed.stderr);
  const { files, made } = JSON.parse(resumed.stdout) as { files: number; made: number };
  t.is(files, 401 * 2 + 1);
  const finished = await fcn(['datasets', 'verify', 'ade20k'], { cwd });
  t.is(finished.code, 0, finished.stderr);
  t.true(done > 0 && made <= files - done, `${made} of ${files}, ${done} done`);
});

test('verify compares every file with the hash that its preparation recorded', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawAde());
  await fcn(['datasets', 'prepare', 'ade20k', '--from', from], { cwd });
  const verify = (...flags: string[]) => fcn(['datasets', 'verify', 'ade20k', ...flags], { cwd });
  t.regex((await verify()).stdout, /✓ Nothing is wrong \(checked: .*, 7 recorded hashes\)\.\n$/);

  // As valid a label map as the one that was there.
  const folder = path.join(cwd, 'datasets/data/ade/ADEChallengeData2016');
  const label = (n: number) => path.join(folder, `annotations/training/ADE_train_0000000${n}.png`);
  await copyFile(label(2), label(1));
  const changed = await verify();
  t.is(changed.code, 1);
  t.regex(changed.stdout, /✗ .*ADE_train_00000001\.png was changed after its preparation: its SHA-256 is not the one/);
  t.regex(changed.stdout, /✗ 1 problem /);
  t.is((await verify('--fast')).code, 0);

  await appendFile(path.join(folder, '.fcn-prepared.sha256'), '\n');
  t.regex((await verify()).stdout, /✗ .*\.fcn-prepared\.sha256, the hashes of all files, was changed/);
  await rm(path.join(folder, '.fcn-prepared.sha256'));
  const without = await verify();
  t.is(without.code, 1);
  t.regex(without.stdout, /✗ .*\.fcn-prepared\.sha256, the hashes of all files, does not exist/);
});

test('of a folder it is said that names and sizes are hashed, not contents', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = path.join(cwd, 'downloads');
  await writeUnpacked(from, await rawCamvid());
  const parameters = ['datasets', 'prepare', 'camvid', '--from', from];
  const { stdout } = await fcn(parameters, { cwd });
  t.regex(stdout, / {2}from downloads .* sha256 of paths and sizes [0-9a-f]{16}…\n/);
  const { inputs } = JSON.parse((await fcn([...parameters, '--json'], { cwd })).stdout) as { inputs: object[] };
  t.like(inputs[0], { name: 'downloads', hashed: 'paths and sizes' });
});

test('a full disk ends it with one line, and with more room it is finished', async (t) => {
  const cwd = await temporaryFolder(t);
  const mounted = await smallDisk(t, cwd, '160k');
  if (mounted === null) return t.pass();
  const disk = mounted.folder;
  const from = await downloads(cwd, await rawAde(40));
  const parameters = ['datasets', 'prepare', 'ade20k', '--from', from, '--data-root', disk, '--workers', '1'];
  const { code, stderr } = await fcn(parameters, { cwd });
  t.is(code, 2);
  t.regex(stderr, /\nerror: Disk full while writing \/.*ADEChallengeData2016.*\.\nnext: Free some space.*\n$/);
  const folder = path.join(disk, 'ade/ADEChallengeData2016');
  t.true(readdirSync(folder).includes('.fcn-preparing.json'));
  t.false(readdirSync(folder).includes('.fcn-prepared.json'));
  await mounted.remount('size=2m');
  const resumed = await fcn(parameters, { cwd });
  t.is(resumed.code, 0, resumed.stderr);
  t.regex(resumed.stdout, /40 train and 1 val images/);
});
