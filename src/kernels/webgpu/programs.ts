import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { ComputingEngine } from '../../engines/engine.js';
import type { GpuBackend } from '../../engines/webgpu/backend.js';
import type { ElementType, ParameterValues, Program, Workgroups } from '../../engines/webgpu/program.js';

/** Runs programs on tensors, through the backend. */
export class Programs {
  readonly tf: ComputingEngine['tf'];
  readonly backend: GpuBackend;

  constructor(readonly engine: ComputingEngine) {
    if (engine.gpu === null) throw new Error(`The ${engine.name} engine runs no programs on a GPU.`);
    this.tf = engine.tf;
    this.backend = engine.gpu;
  }

  get<O extends object>(name: string, options: O, make: (options: O) => Omit<Program, 'name'>): Program {
    return this.backend.programs.get(name, options, make);
  }

  /** How a tensor's values are stored. */
  typeOf(tensor: Tensor): ElementType {
    return this.backend.elementType(tensor);
  }

  /** How many values a program may load at a time where so many lie one after the other: 4 if that divides it. */
  widthOf(run: number): 1 | 4 {
    return run % 4 === 0 ? 4 : 1;
  }

  /** A tensor with any content, which the caller owns. */
  allocate<T extends Tensor>(shape: readonly number[], type: ElementType = 'f32'): T {
    return this.tensor(
      this.backend.allocate({ shape, type, dtype: type === 'i32' || type === 'u32' ? 'int32' : 'float32' }),
    );
  }

  run(program: Program, tensors: readonly Tensor[], values: ParameterValues, grid: Workgroups): void {
    this.backend.dispatch(program, tensors, values, grid);
  }

  /** Runs a flat program with `size` threads. */
  runFlat(program: Program, tensors: readonly Tensor[], size: number, values: ParameterValues = {}): void {
    this.backend.dispatchFlat(program, tensors, size, values);
  }

  private tensor<T extends Tensor>(info: TensorInfo): T {
    return this.tf.engine().makeTensorFromTensorInfo(info) as T;
  }
}
