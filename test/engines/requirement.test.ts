import test from 'ava';
import { chooseWheel, parseRequirement } from '../../src/engines/tensorflow/requirement.js';
import { UserError } from '../../src/support/errors.js';

const LINUX = ['manylinux_2_27_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64'];

function choose(requirement: string, names: readonly string[], tags: readonly string[] = LINUX, yanked: string[] = []) {
  const files = names.map((name) => ({ name, url: '', sha256: null, isYanked: yanked.includes(name) }));
  return chooseWheel(files, parseRequirement(requirement), tags)?.name ?? null;
}

const cudnn = (release: string) => `nvidia_cudnn_cu12-${release}-py3-none-manylinux_2_27_x86_64.whl`;
const RELEASES = ['9.1.0.70', '9.3.0.75', '9.10.2.21', '9.9.0.52', '10.0.0.1', '9.11.0rc1'].map(cudnn);

test('the newest release that meets a requirement is chosen, by its numbers', (t) => {
  for (const [specifiers, release] of [
    ['<10.0,>=9.3.0.75', '9.10.2.21'],
    ['', '10.0.0.1'],
    ['==9.9.0.52', '9.9.0.52'],
    ['<9.3.0.75', '9.1.0.70'],
    ['<=9.3.0.75', '9.3.0.75'],
    ['~=9.3', '9.10.2.21'],
    ['==9.3.*', '9.3.0.75'],
    ['>9.9,!=9.10.*,<10', '9.9.0.52'],
  ] as const) {
    t.is(choose(`nvidia-cudnn-cu12${specifiers}`, RELEASES), cudnn(release), specifiers);
  }
  t.is(choose('nvidia-cudnn-cu12>11', RELEASES), null);
  t.is(choose('a==9.3', ['a-9.3.0-py3-none-any.whl']), 'a-9.3.0-py3-none-any.whl', 'a missing number is 0');
});

test('a wheel must fit CPython 3.11 and the platform', (t) => {
  const fits = (tags: string, accepted = LINUX) => choose('a', [`a-1-${tags}.whl`], accepted) !== null;
  t.true(fits('cp311-cp311-manylinux_2_27_x86_64'));
  t.true(fits('cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64'));
  t.true(fits('py3-none-manylinux_2_5_x86_64'), 'older than those named');
  t.true(fits('py2.py3-none-any'));
  t.true(fits('cp39-abi3-any'));
  t.true(fits('cp311-cp311-macosx_11_0_arm64', ['macosx_12_0_arm64']));
  t.false(fits('cp312-cp312-manylinux_2_27_x86_64'));
  t.false(fits('cp312-abi3-any'));
  t.false(fits('cp311-cp311-manylinux_2_28_x86_64'));
  t.false(fits('cp311-cp311-manylinux_2_17_aarch64'));
  t.false(fits('cp311-cp311-win_amd64'));
  t.false(fits('cp311-cp311-macosx_13_0_arm64', ['macosx_12_0_arm64']));
});

test('a withdrawn release is chosen only if it is named', (t) => {
  const [old, withdrawn] = ['a-1.0-py3-none-any.whl', 'a-1.1-py3-none-any.whl'];
  t.is(choose('a', [old!, withdrawn!], LINUX, [withdrawn!]), old!);
  t.is(choose('a==1.1', [old!, withdrawn!], LINUX, [withdrawn!]), withdrawn!);
});

test('names that are no wheel are passed over, and paths with them', (t) => {
  t.is(choose('a', ['a-1.tar.gz', '../a-1-py3-none-any.whl', 'a-1-py3-none.whl', 'x/a-1-py3-none-any.whl']), null);
});

test('projects are spelled as in addresses; other forms of requirements are refused', (t) => {
  t.is(parseRequirement('NVIDIA_Cublas.cu12>=1').project, 'nvidia-cublas-cu12');
  for (const text of ['a>=1.0rc1', 'a===1', 'a @ https://x.test', '', 'a>=']) {
    t.throws(
      () => parseRequirement(text),
      { instanceOf: UserError, message: /is not a requirement that can be read/ },
      text,
    );
  }
});
