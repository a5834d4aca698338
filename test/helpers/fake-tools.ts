import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { npmPackageFolder } from '../../src/engines/tool.js';

/** The release that the fake addon says it is. */
export const FAKE_VERSION = '9.9.9';

/** Stands for pip: copies prepared wheels, or fails as it is told. */
const PYTHON = `#!/bin/sh
case "$*" in
  --version) echo "Python 3.11.0"; exit 0;;
  "-m pip --version") [ -z "$FAKE_NO_PIP" ] && echo "pip 1" && exit 0; exit 1;;
esac
echo "$*" >> "$FAKE_FOLDER/pip.log"
if [ -n "$FAKE_PIP_ERROR" ]; then echo "$FAKE_PIP_ERROR" >&2; exit 1; fi
for argument; do
  [ "$previous" = --dest ] && destination="$argument"
  previous="$argument"
done
case "$*" in
  *nvidia-*) cp "$FAKE_FOLDER"/wheels/nvidia_*.whl "$destination";;
  *) cp "$FAKE_FOLDER"/wheels/tensorflow*.whl "$destination";;
esac
`;

/**
 * Stands for the compiler: what is linked with TensorFlow becomes a stub that needs no library; all else is really compiled, once a
 * process, as it is the same every time.
 */
const COMPILER = `#!/bin/sh
[ "$*" = --version ] && echo "fake compiler 1" && exit 0
echo "$*" >> "$FAKE_FOLDER/compiler.log"
for argument; do
  [ "$previous" = -o ] && output="$argument"
  previous="$argument"
done
case "$output" in
  *tfjs_binding* | *operations*) exec cp "$FAKE_STUB" "$output";;
esac
case "$*" in
  *portable.h*) exec g++ "$@";;
esac
kept="\${FAKE_STUB%/*}/\${output##*/}"
if [ ! -f "$kept" ]; then
  g++ "$@" || exit $?
  cp "$output" "$kept.$$" && exec mv "$kept.$$" "$kept"
fi
exec cp "$kept" "$output"
`;

const STUB = `#include <node_api.h>
static napi_value Initialise(napi_env env, napi_value exports) {
  napi_value version;
  napi_create_string_utf8(env, "${FAKE_VERSION}", NAPI_AUTO_LENGTH, &version);
  napi_set_named_property(env, exports, "TF_Version", version);
  return exports;
}
NAPI_MODULE(stub, Initialise)
`;

/** The folder of the compiled stub, which all tests of a process share. */
let stubFolder: string | undefined;

/** Compiles the stub once a process. */
function compiledStub(): string {
  if (stubFolder === undefined) {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-test-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const include = path.join(npmPackageFolder('node-api-headers'), 'include');
    const parameters = ['-shared', '-fPIC', `-I${include}`, '-x', 'c++', '-', '-o', path.join(folder, 'stub.node')];
    execFileSync('g++', parameters, { input: STUB });
    stubFolder = folder;
  }
  return path.join(stubFolder, 'stub.node');
}

export interface FakeTools {
  /** Where the fake pip takes wheels from. */
  readonly wheels: string;
  /** What a tool was called with, a line a call. */
  calls(tool: 'pip' | 'compiler'): Promise<string[]>;
}

/** False where the fakes cannot stand in: they are shell scripts, and still compile a little. */
export function canFakeTools(): boolean {
  return process.platform !== 'win32' && spawnSync('g++', ['--version']).status === 0;
}

/** Puts a fake Python and a fake compiler in the environment until the test ends: for serial tests only. */
export async function fakeTools(t: ExecutionContext, folder: string): Promise<FakeTools> {
  const programs = path.join(folder, 'bin');
  const wheels = path.join(folder, 'wheels');
  await Promise.all([mkdir(programs), mkdir(wheels)]);
  for (const [name, text] of [
    ['python3', PYTHON],
    ['python', PYTHON],
    ['fake-compiler', COMPILER],
  ] as const) {
    await writeFile(path.join(programs, name), text);
    await chmod(path.join(programs, name), 0o755);
  }
  setEnvironment(t, {
    PATH: `${programs}${path.delimiter}${process.env['PATH']}`,
    CXX: path.join(programs, 'fake-compiler'),
    FAKE_FOLDER: folder,
    FAKE_STUB: compiledStub(),
  });
  const calls = async (tool: string) => {
    const text = await readFile(path.join(folder, `${tool}.log`), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  };
  return { wheels, calls };
}

/** Sets environment variables until the test ends. */
export function setEnvironment(t: ExecutionContext, variables: Readonly<Record<string, string>>): void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  t.teardown(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  Object.assign(process.env, variables);
}
