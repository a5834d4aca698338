/**
 * The part of the WebGPU interface (https://www.w3.org/TR/webgpu/) that is used here, as Dawn's addon for Node offers it. TypeScript's
 * own types of it come with those of browsers.
 */

export interface GpuLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxComputeWorkgroupStorageSize: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

export interface GpuAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter: boolean;
}

export interface GpuAdapter {
  readonly info: GpuAdapterInfo;
  readonly limits: GpuLimits;
  readonly features: ReadonlySet<string>;
  requestDevice(descriptor: {
    readonly requiredLimits: Readonly<Record<string, number>>;
    readonly requiredFeatures: readonly string[];
  }): Promise<GpuDevice>;
}

export interface Gpu {
  requestAdapter(options?: { readonly powerPreference?: 'high-performance' }): Promise<GpuAdapter | null>;
}

/** What `dawn.node` exports. */
export interface DawnModule {
  /** @param flags `name=value`; `adapter` and `backend` choose an adapter. */
  create(flags: readonly string[]): Gpu;
}

export interface GpuBuffer {
  readonly size: number;
  readonly mapState: 'unmapped' | 'pending' | 'mapped';
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuBindGroupLayout {
  readonly label: string;
}

export interface GpuComputePipeline {
  readonly label: string;
}

export interface GpuComputePass {
  setPipeline(pipeline: GpuComputePipeline): void;
  setBindGroup(index: number, group: object): void;
  dispatchWorkgroups(x: number, y: number, z: number): void;
  end(): void;
}

export interface GpuCommandEncoder {
  beginComputePass(): GpuComputePass;
  copyBufferToBuffer(source: GpuBuffer, sourceOffset: number, target: GpuBuffer, offset: number, size: number): void;
  clearBuffer(buffer: GpuBuffer, offset: number, size: number): void;
  finish(): object;
}

export interface GpuQueue {
  submit(commands: readonly object[]): void;
  writeBuffer(buffer: GpuBuffer, offset: number, data: ArrayBufferView | ArrayBuffer): void;
}

interface GpuErrorEvent {
  readonly error: { readonly message: string; readonly constructor: { readonly name: string } };
  preventDefault(): void;
}

export interface GpuDevice {
  readonly queue: GpuQueue;
  readonly limits: GpuLimits;
  readonly features: ReadonlySet<string>;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  addEventListener(type: 'uncapturederror', listener: (event: GpuErrorEvent) => void): void;
  createBuffer(descriptor: { readonly size: number; readonly usage: number }): GpuBuffer;
  createShaderModule(descriptor: { readonly code: string }): object;
  createBindGroupLayout(descriptor: { readonly entries: readonly object[] }): GpuBindGroupLayout;
  createPipelineLayout(descriptor: { readonly bindGroupLayouts: readonly GpuBindGroupLayout[] }): object;
  createComputePipeline(descriptor: {
    readonly layout: object;
    readonly compute: { readonly module: object; readonly entryPoint: string };
  }): GpuComputePipeline;
  createBindGroup(descriptor: { readonly layout: GpuBindGroupLayout; readonly entries: readonly object[] }): object;
  createCommandEncoder(): GpuCommandEncoder;
  destroy(): void;
}

/** Bits of WebGPU's GPUBufferUsage. */
export const BufferUsage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;

/** Of GPUMapMode. */
export const MAP_READ = 1;

/** Of GPUShaderStage. */
export const COMPUTE_STAGE = 4;
