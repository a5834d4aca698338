import { createRequire } from 'node:module';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';

interface RuntimeTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

/** The part of onnxruntime-node that the tests use. */
interface OnnxRuntime {
  readonly Tensor: new (
    type: 'float32' | 'uint8',
    data: Float32Array | Uint8Array,
    dims: readonly number[],
  ) => RuntimeTensor;
  readonly InferenceSession: {
    create(model: Uint8Array): Promise<{
      run(feeds: Record<string, RuntimeTensor>): Promise<Record<string, RuntimeTensor>>;
    }>;
  };
}

/** Folder with node_modules/onnxruntime-node, which takes 290 MB: CI installs it; undefined elsewhere. */
const folder = process.env['FCN_TEST_ONNXRUNTIME'];

/** Gives what runs a model: the values of its input `image` → the values of its only output. */
async function openRuntime() {
  const require = createRequire(path.join(path.resolve(folder!), 'package.json'));
  const { InferenceSession, Tensor } = require('onnxruntime-node') as OnnxRuntime;
  return async (
    model: Uint8Array,
    data: Float32Array | Uint8Array,
    dims: readonly number[],
  ): Promise<RuntimeTensor> => {
    const session = await InferenceSession.create(model);
    const type = data instanceof Uint8Array ? 'uint8' : 'float32';
    const results = await session.run({ image: new Tensor(type, data, dims) });
    return Object.values(results)[0]!;
  };
}

export type RunModel = Awaited<ReturnType<typeof openRuntime>>;

/** Declares a test that runs models with ONNX Runtime; it is skipped unless FCN_TEST_ONNXRUNTIME names a folder that has it. */
export function withOnnxRuntime(title: string, body: (t: ExecutionContext, run: RunModel) => Promise<void>): void {
  const declare = folder === undefined ? test.serial.skip : test.serial;
  declare(title, async (t) => body(t, await openRuntime()));
}
