import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { appendFile, copyFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { encodeJpeg } from '../../src/data/decode.js';
import { encodePng } from '../../src/data/png-write.js';
import { fcn, fcnProcess } from '../helpers/command.js';
import { downloads, FAULTS, testFault } from '../helpers/download-faults.js';
import { temporaryFolder } from '../helpers/folder.js';
import { rawAde, rawCamvid, rawVoc, writeUnpacked } from '../helpers/raw-downloads.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

test('the command prepares a data set, and reports its work and the result', async (t) => {
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
  t.regex(json.stderr, /^> Downloads\n/);
  t.like(JSON.parse(json.stdout), { dataset: 'voc2012-aug', images: { train: 4, val: 1 }, files: 18, made: 0 });
});

test('a broken download gives one line that names it and one that says what to do', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawVoc());
  await writeFile(path.join(from, 'benchmark.tgz'), '<html>404</html>');
  const { code, stderr, stdout } = await fcn(['datasets', 'prepare', 'voc2012-aug', '--from', from], { cwd });
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(
    stderr,
    /^> Downloads\nerror: \/.*benchmark\.tgz is a web page, not the download\.\nnext: Open it in a browser .*\n$/,
  );
});

// npm run test:long tests all of them; test/datasets/prepare tests more, without the command.
for (const fault of [FAULTS[0]!, FAULTS.at(-1)!]) testFault(fault);

/** Number of label files, of 61, at which the process is killed: first when it has noted its downloads, then later and later. */
const KILLED_AT = [0, 30, 60];

test('after a kill at any moment it is resumed, and verify accepts only the complete data set', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawAde(60));
  const command = ['datasets', 'prepare', 'ade20k', '--from', from, '--workers', '1'];
  const parameters = (dataRoot: string) => [...command, '--data-root', dataRoot];
  const prepare = (dataRoot: string) => fcn(parameters(dataRoot), { cwd });
  const folderOf = (dataRoot: string) => path.join(cwd, dataRoot, 'ade/ADEChallengeData2016');
  const verify = (dataRoot: string) => fcn(['datasets', 'verify', 'ade20k', '--data-root', dataRoot], { cwd });
  const folder = folderOf('killed');
  const labels = () =>
    existsSync(path.join(folder, '.fcn-preparing.json'))
      ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /^annotations.*png$/.test(name))
          .length
      : -1;
  for (const [i, files] of KILLED_AT.entries()) {
    const { code } = await fcnProcess(parameters('killed'), {
      cwd,
      onStart: async (child) => {
        while (child.exitCode === null && labels() < files) await sleep(1);
        child.kill('SIGKILL');
      },
    });
    const { code: verdict, stdout, stderr } = await verify('killed');
    const message = `killed ${i + 1} times, ended with ${code}: ${stdout}${stderr}`;
    // On a busy machine the files may be noticed only after the end.
    const holds = (name: string) => existsSync(path.join(folder, name));
    // If it is killed after it made the folder and before it wrote the marker, verify finds no image.
    const isNoted = holds('.fcn-preparing.json') || holds('.fcn-prepared.json');
    if (code === 0) t.is(verdict, 0, message);
    else if (!isNoted) t.is(verdict, 1, message);
    else t.true(verdict === 2 || (verdict === 0 && holds('.fcn-prepared.json')), message);
    if (verdict === 0) await rm(folder, { recursive: true });
  }
  t.is((await prepare('whole')).code, 0);
  const last = await prepare('killed');
  t.is(last.code, 0, last.stderr);
  t.is((await verify('killed')).code, 0);
  const read = (dataRoot: string) => readFileSync(path.join(folderOf(dataRoot), '.fcn-prepared.sha256'), 'utf8');
  t.is(read('killed'), read('whole'));
  t.deepEqual(
    readdirSync(folderOf('killed'), { recursive: true }).sort(),
    readdirSync(folderOf('whole'), { recursive: true }).sort(),
  );
});

test('Ctrl-C ends it with 130, and the same command resumes it', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawAde(180));
  const folder = path.join(cwd, 'data/ade/ADEChallengeData2016');
  const journal = path.join(folder, '.fcn-preparing.jsonl');
  const parameters = ['datasets', 'prepare', 'ade20k', '--from', from, '--workers', '1'];
  const { code, stderr } = await fcnProcess(parameters, {
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
  t.is(files, 181 * 2 + 1);
  const finished = await fcn(['datasets', 'verify', 'ade20k'], { cwd });
  t.is(finished.code, 0, finished.stderr);
  t.true(done > 0 && made <= files - done, `${made} of ${files}, ${done} done`);
});

test('verify compares every file with the hash that its preparation recorded', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = await downloads(cwd, await rawAde());
  await fcn(['datasets', 'prepare', 'ade20k', '--from', from], { cwd });
  const verify = (...flags: string[]) => fcn(['datasets', 'verify', 'ade20k', ...flags], { cwd });
  t.regex((await verify()).stdout, /✓ Nothing is wrong; 1 warning \(checked: .*, 7 recorded hashes\)\.\n$/);

  // Another valid label map.
  const folder = path.join(cwd, 'data/ade/ADEChallengeData2016');
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

test('a number of images that differs from an unconfirmed one is refused, and accepted with --accept-counts', async (t) => {
  const cwd = await temporaryFolder(t);
  const raw = await rawCamvid();
  const members = raw.archives['camvid.zip']!;
  const size = { height: 360, width: 480 };
  for (const member of Object.keys(members)) {
    const pixels = new Uint8Array(size.height * size.width * 3).fill(member.length);
    members[member] = member.endsWith('.jpg')
      ? await encodeJpeg({ ...size, data: pixels }, 50)
      : await encodePng(new Uint8Array(size.height * size.width), size, {
          colourType: 'grey',
          filter: 'none',
          level: 1,
        });
  }
  const from = await downloads(cwd, raw);
  await rm(path.join(from, 'synthetic.json'));
  const prepare = (...flags: string[]) => fcn(['datasets', 'prepare', 'camvid', '--from', from, ...flags], { cwd });
  const refused = await prepare();
  t.is(refused.code, 2);
  const both = /hold 2 train images \(367 expected\) and 1 val image \(101 expected\)\. Read in: .*\. Nobody/;
  t.regex(refused.stderr, both);
  t.regex(refused.stderr, /\nnext: .* --accept-counts /);
  t.false(existsSync(path.join(cwd, 'data/camvid')));

  const accepted = await prepare('--accept-counts');
  t.is(accepted.code, 0, accepted.stderr);
  t.regex(accepted.stderr, /\nWarning: CamVid: the downloads hold 2 train images/);
  t.regex(accepted.stderr, both);
  t.regex(accepted.stdout, /\nNot as published: 2 train images instead of 367; 1 val image instead of 101\. /);
  // It asks only once about the same downloads.
  const again = await prepare();
  t.is(again.code, 0, again.stderr);
  t.regex(again.stdout, / all there already\./);
  const verified = await fcn(['datasets', 'verify', 'camvid'], { cwd });
  t.is(verified.code, 0, verified.stdout);
  t.regex(verified.stdout, / images with labels, as prepared\n/);
  t.regex(verified.stdout, /\n {2}Not as published: 1 val image instead of 101\.\n/);
  t.regex((await fcn(['datasets', 'list'], { cwd })).stdout, /│ camvid .*│ 2 +│ 1 +│ complete +│/);
});

test('for a folder, the report says that names and sizes are hashed, not contents', async (t) => {
  const cwd = await temporaryFolder(t);
  const from = path.join(cwd, 'downloads');
  await writeUnpacked(from, await rawCamvid());
  const parameters = ['datasets', 'prepare', 'camvid', '--from', from];
  const { stdout } = await fcn(parameters, { cwd });
  t.regex(stdout, / {2}from downloads .* sha256 of paths and sizes [0-9a-f]{16}…\n/);
  const { inputs } = JSON.parse((await fcn([...parameters, '--json'], { cwd })).stdout) as { inputs: object[] };
  t.like(inputs[0], { name: 'downloads', hashed: 'paths and sizes' });
});

withSmallDisk('a full disk ends it with one line; with more space it is completed', async (t) => {
  const cwd = await temporaryFolder(t);
  const mounted = await smallDisk(t, cwd, '160k');
  const disk = mounted.folder;
  const from = await downloads(cwd, await rawAde(40));
  const parameters = ['datasets', 'prepare', 'ade20k', '--from', from, '--data-root', disk, '--workers', '1'];
  // On a full disk its lock stays until the process is gone.
  const { code, stderr } = await fcnProcess(parameters, { cwd });
  t.is(code, 2);
  t.regex(stderr, /\nerror: Disk full while writing \/.*ADEChallengeData2016.*\.\nnext: Free some space.*\n$/);
  const folder = path.join(disk, 'ade/ADEChallengeData2016');
  t.true(readdirSync(folder).includes('.fcn-preparing.json'));
  t.false(readdirSync(folder).includes('.fcn-prepared.json'));
  t.is((await fcn(['datasets', 'verify', 'ade20k', '--data-root', disk], { cwd })).code, 2);
  await mounted.remount('size=2m');
  const resumed = await fcn(parameters, { cwd });
  t.is(resumed.code, 0, resumed.stderr);
  t.regex(resumed.stdout, /40 train and 1 val images/);
});
