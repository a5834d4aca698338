import type { Device } from './device.js';
import { TensorTooLargeError } from './errors.js';
import type { ProgramExecutor, Storage } from './executor.js';
import {
  BufferUsage,
  COMPUTE_STAGE,
  type GpuBindGroupLayout,
  type GpuBuffer,
  type GpuCommandEncoder,
  type GpuComputePass,
  type GpuComputePipeline,
  MAP_READ,
} from './gpu.js';
import { BufferPool } from './pool.js';
import { PARAMETER_BYTES, type ParameterValues, type Program, type Workgroups, writeParameters } from './program.js';

interface DeviceStorage extends Storage {
  readonly buffer: GpuBuffer;
}

interface Compiled {
  readonly pipeline: GpuComputePipeline;
  readonly layout: GpuBindGroupLayout;
}

/** Enough to keep a GPU busy while the next are recorded; few enough that it starts early. */
const DISPATCHES_PER_SUBMISSION = 64;

/**
 * Records dispatches and submits them in groups. The device runs submissions in order, with a barrier between dispatches where one
 * uses what another writes, so memory can be reused as soon as its tensor is disposed.
 */
export class DeviceExecutor implements ProgramExecutor {
  readonly mostBytes: number;
  readonly hasHalf: boolean;
  readonly sharedBytes: number;
  readonly mostGroups: number;
  private readonly pool: BufferPool;
  private readonly compiled = new Map<Program, Compiled>();
  private readonly layouts = new Map<string, GpuBindGroupLayout>();
  private encoder: GpuCommandEncoder | null = null;
  private pass: GpuComputePass | null = null;
  /** Parameters of the recorded dispatches, written to `uniforms` before they are submitted. */
  private readonly parameters = new DataView(new ArrayBuffer(DISPATCHES_PER_SUBMISSION * PARAMETER_BYTES));
  private readonly uniforms: GpuBuffer;
  private recorded = 0;

  /** @param mostBytes Default: as the device says. */
  constructor(
    private readonly device: Device,
    mostBytes?: number,
  ) {
    const { limits, features } = device.gpu;
    // Positions in a tensor are 32-bit integers.
    this.mostBytes = mostBytes ?? Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, 2 ** 32 - 4);
    this.hasHalf = features.has('shader-f16');
    this.sharedBytes = limits.maxComputeWorkgroupStorageSize;
    this.mostGroups = limits.maxComputeWorkgroupsPerDimension;
    this.pool = new BufferPool(device, limits.maxBufferSize, () => this.submit());
    this.uniforms = device.gpu.createBuffer({
      size: this.parameters.byteLength,
      usage: BufferUsage.uniform | BufferUsage.copyTarget,
    });
  }

  get adapter(): string {
    return this.device.adapter;
  }

  get allocatedBytes(): number {
    return this.pool.bytes;
  }

  take(bytes: number): DeviceStorage {
    return { bytes, buffer: this.pool.take(bytes, false) };
  }

  upload(values: ArrayBufferView): DeviceStorage {
    const buffer = this.pool.take(values.byteLength, true);
    // WebGPU writes multiples of 4 bytes.
    const padded = values.byteLength % 4 === 0 ? values : padToFour(values);
    if (padded.byteLength > 0) this.device.gpu.queue.writeBuffer(buffer, 0, padded);
    return { bytes: values.byteLength, buffer };
  }

  give({ buffer }: DeviceStorage): void {
    this.pool.give(buffer);
  }

  clear({ buffer }: DeviceStorage): void {
    this.endPass();
    this.commands().clearBuffer(buffer, 0, buffer.size);
  }

  run(program: Program, storages: readonly DeviceStorage[], values: ParameterValues, grid: Workgroups): void {
    const { pipeline, layout } = this.compile(program);
    const offset = this.recorded * PARAMETER_BYTES;
    writeParameters(this.parameters, offset, program, values);
    const uniform = { buffer: this.uniforms, offset, size: PARAMETER_BYTES };
    // Not the whole buffer, which may be larger than what can be bound.
    const bound = storages.map(({ buffer, bytes }) => ({ buffer, size: Math.min(buffer.size, boundBytes(bytes)) }));
    const entries = [...bound, uniform].map((resource, binding) => ({ binding, resource }));
    const group = this.device.gpu.createBindGroup({ layout, entries });
    this.pass ??= this.commands().beginComputePass();
    this.pass.setPipeline(pipeline);
    this.pass.setBindGroup(0, group);
    this.pass.dispatchWorkgroups(...grid);
    this.recorded++;
    if (this.recorded === DISPATCHES_PER_SUBMISSION) this.submit();
  }

  read(parts: readonly { readonly storage: DeviceStorage; readonly bytes: number }[]): ArrayBuffer[] {
    const { staging, offsets } = this.copyOut(parts);
    // A failure shows in the state: nobody waits for the promise.
    this.device.events.within(() => staging.mapAsync(MAP_READ)).catch(() => undefined);
    this.device.events.wait(() => staging.mapState !== 'pending');
    return this.contents(staging, parts, offsets);
  }

  async readLater(storage: DeviceStorage, bytes: number): Promise<ArrayBuffer> {
    const parts = [{ storage, bytes }];
    const { staging, offsets } = this.copyOut(parts);
    await this.device.events.within(() => staging.mapAsync(MAP_READ)).catch(() => undefined);
    return this.contents(staging, parts, offsets)[0]!;
  }

  destroy(): void {
    this.device.gpu.destroy();
  }

  /** Copies storages one after the other into a buffer that can be mapped, and submits everything. */
  private copyOut(parts: readonly { readonly storage: DeviceStorage; readonly bytes: number }[]) {
    const offsets: number[] = [];
    let size = 0;
    for (const { bytes } of parts) {
      offsets.push(size);
      // Copies are of multiples of 4 bytes.
      size += Math.ceil(bytes / 4) * 4;
    }
    if (size > this.device.gpu.limits.maxBufferSize) {
      throw new TensorTooLargeError([size / 4], size, this.device.gpu.limits.maxBufferSize, this.adapter);
    }
    const usage = BufferUsage.mapRead | BufferUsage.copyTarget;
    const staging = this.device.gpu.createBuffer({ size: Math.max(size, 4), usage });
    this.endPass();
    const commands = this.commands();
    for (const [i, { storage, bytes }] of parts.entries()) {
      if (bytes > 0) commands.copyBufferToBuffer(storage.buffer, 0, staging, offsets[i]!, Math.ceil(bytes / 4) * 4);
    }
    this.submit();
    return { staging, offsets };
  }

  private contents(
    staging: GpuBuffer,
    parts: readonly { readonly bytes: number }[],
    offsets: readonly number[],
  ): ArrayBuffer[] {
    if (staging.mapState !== 'mapped') throw this.device.transferFailed();
    this.device.check();
    const all = staging.getMappedRange();
    const copies = parts.map(({ bytes }, i) => all.slice(offsets[i]!, offsets[i]! + bytes));
    staging.destroy();
    return copies;
  }

  private commands(): GpuCommandEncoder {
    this.encoder ??= this.device.gpu.createCommandEncoder();
    return this.encoder;
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = null;
  }

  /** @throws what `Device.check` finds. */
  private submit(): void {
    const { gpu, events } = this.device;
    this.endPass();
    if (this.encoder !== null) {
      const { queue } = gpu;
      const used = this.recorded * PARAMETER_BYTES;
      if (used > 0) queue.writeBuffer(this.uniforms, 0, new Uint8Array(this.parameters.buffer, 0, used));
      const commands = this.encoder.finish();
      events.within(() => queue.submit([commands]));
      this.encoder = null;
      this.recorded = 0;
    }
    this.pool.submitted();
    this.device.check();
  }

  private compile(program: Program): Compiled {
    const known = this.compiled.get(program);
    if (known !== undefined) return known;
    const { gpu } = this.device;
    const layout = this.layoutOf(program);
    const pipeline = gpu.createComputePipeline({
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: gpu.createShaderModule({ code: program.code }), entryPoint: 'main' },
    });
    this.device.check();
    const compiled = { pipeline, layout };
    this.compiled.set(program, compiled);
    return compiled;
  }

  /** Programs with the same accesses share a layout. Given explicitly, because a derived one lacks the bindings that a program does not use. */
  private layoutOf({ slots }: Program): GpuBindGroupLayout {
    const key = slots.map(({ access }) => access).join();
    const known = this.layouts.get(key);
    if (known !== undefined) return known;
    const types = [...slots.map(({ access }) => (access === 'read' ? 'read-only-storage' : 'storage')), 'uniform'];
    const layout = this.device.gpu.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })),
    });
    this.layouts.set(key, layout);
    return layout;
  }
}

/** Whole groups of four values, which are what a program may see of a tensor. */
function boundBytes(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

function padToFour(values: ArrayBufferView): Uint8Array {
  const padded = new Uint8Array(Math.ceil(values.byteLength / 4) * 4);
  padded.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return padded;
}
