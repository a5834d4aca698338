import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { listGpus } from '../hardware.js';
import { packageRequire } from '../tool.js';
import { DawnEvents } from './events.js';
import type { DawnModule, Gpu, GpuAdapter, GpuLimits } from './gpu.js';
import { ADDON } from './package.js';

/** What a GPU, or a program in its place, offers. */
export interface AdapterDescription {
  /** By which --adapter chooses it. */
  readonly index: number;
  readonly name: string;
  /** "vulkan", "d3d12" or "metal". */
  readonly backend: string;
  /** What the driver says of itself. */
  readonly driver: string;
  /** Whether it computes on the processor. */
  readonly software: boolean;
  /** Null if unknown: WebGPU does not say, nvidia-smi does. */
  readonly memoryBytes: number | null;
  readonly limits: Pick<
    GpuLimits,
    | 'maxBufferSize'
    | 'maxStorageBufferBindingSize'
    | 'maxComputeWorkgroupStorageSize'
    | 'maxComputeInvocationsPerWorkgroup'
  >;
  readonly features: readonly string[];
}

export interface FoundAdapter {
  readonly adapter: GpuAdapter;
  readonly description: AdapterDescription;
}

interface Dawn {
  readonly module: DawnModule;
  readonly events: DawnEvents;
}

/** Once a process. Objects that `create` returns stay referenced: if one is collected, Dawn crashes or hangs at the end of the process. */
const kept: { dawn: Dawn | null; folder: string | null; readonly gpus: Gpu[] } = { dawn: null, folder: null, gpus: [] };

/** Loads Dawn from an installed package. @throws UserError if it cannot be loaded. */
function loadDawn(folder: string): Dawn {
  if (kept.dawn !== null && kept.folder === folder) return kept.dawn;
  const file = path.join(folder, ADDON);
  try {
    kept.dawn = { module: packageRequire()(file) as DawnModule, events: new DawnEvents() };
    kept.folder = folder;
    return kept.dawn;
  } catch (error) {
    throw new UserError(
      `WebGPU cannot be loaded from ${file}: ${(error as Error).message}`,
      'It needs glibc 2.34 on Linux. Install it again with fcn engines install --webgpu --force, or use another engine.',
      { cause: error },
    );
  }
}

export function dawnEvents(folder: string): DawnEvents {
  return loadDawn(folder).events;
}

function create({ module }: Dawn, flags: readonly string[]): Gpu {
  const gpu = module.create(flags);
  kept.gpus.push(gpu);
  return gpu;
}

/** A name that no adapter has: Dawn's refusal lists all that there are, which nothing else does. */
const NO_NAME = 'an adapter that does not exist';
const LISTED = /^ \* backend: '([^']*)', name: '(.*)'$/gm;

/** Names of all adapters, with their backends. */
async function adapterNames(dawn: Dawn): Promise<{ readonly backend: string; readonly name: string }[]> {
  const gpu = create(dawn, [`adapter=${NO_NAME}`]);
  try {
    await dawn.events.within(() => gpu.requestAdapter());
    return [];
  } catch (error) {
    const listed = [...(error as Error).message.matchAll(LISTED)].map(([, backend, name]) => ({
      backend: backend!,
      name: name!,
    }));
    // Several drivers may show the same device, and two equal GPUs cannot be told apart.
    return listed.filter(({ name }, i) => listed.findIndex((other) => other.name === name) === i);
  }
}

/**
 * Programs here write shared memory before they read it: clearing it first would take a store a value. Software adapters unroll these stores,
 * which made compiling ten times as slow.
 */
const DAWN_FEATURES = 'disable_workgroup_init';

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|\bwarp\b/i;

/**
 * All adapters of this machine, those of real GPUs first; none without a driver. Loads the drivers.
 * @param folder The installed package.
 */
export async function findAdapters(folder: string): Promise<FoundAdapter[]> {
  const dawn = loadDawn(folder);
  const gpus = await listGpus();
  const found: Omit<FoundAdapter, 'index'>[] = [];
  for (const { name, backend } of await adapterNames(dawn)) {
    const gpu = create(dawn, [`adapter=${name}`, `backend=${backend}`, `enable-dawn-features=${DAWN_FEATURES}`]);
    const adapter = await dawn.events
      .within(() => gpu.requestAdapter({ powerPreference: 'high-performance' }))
      .catch(() => null);
    if (adapter === null) continue;
    const { limits, info, features } = adapter;
    const description = {
      index: 0,
      name,
      backend,
      driver: info.description,
      software: info.isFallbackAdapter || SOFTWARE.test(name),
      memoryBytes: gpus.find((listed) => name.includes(listed.name))?.memoryBytes ?? null,
      limits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      },
      features: [...features].sort(),
    };
    found.push({ adapter, description });
  }
  // A stable sort: within each kind, Dawn's order.
  const sorted = found.sort((a, b) => Number(a.description.software) - Number(b.description.software));
  return sorted.map(({ adapter, description }, index) => ({ adapter, description: { ...description, index } }));
}

/** Which adapter is wanted. */
export interface AdapterChoice {
  /** Its number, or a part of its name. */
  readonly adapter?: string | undefined;
  /** Whether one that computes on the processor will do. */
  readonly allowSoftware?: boolean | undefined;
}

type Described = Pick<FoundAdapter, 'description'>;

type ChosenAdapter<Found extends Described> =
  | { readonly kind: 'chosen'; readonly chosen: Found }
  | { readonly kind: 'none'; readonly reason: string; readonly next: string };

const USE_ANOTHER = 'use another engine (--engine tensorflow or --engine wasm)';

/**
 * The adapter that is wanted, or why there is none.
 * @param complaint Why a driver cannot be used, if that is known.
 */
export function chooseAdapter<Found extends Described>(
  found: readonly Found[],
  { adapter, allowSoftware }: AdapterChoice,
  complaint: string | null = null,
): ChosenAdapter<Found> {
  const none = (reason: string, next: string) => ({ kind: 'none', reason, next }) as const;
  if (found.length === 0) {
    return none(
      `no driver shows a GPU to WebGPU${complaint === null ? '' : ` (${complaint})`}`,
      `Install the GPU's driver with Vulkan (on Linux also libvulkan1), or ${USE_ANOTHER}.`,
    );
  }
  const names = found.map(({ description }) => `${description.index} (${description.name})`).join(', ');
  const matching = found.filter(({ description: { index, name } }) => {
    if (adapter === undefined) return true;
    return /^\d+$/.test(adapter) ? index === Number(adapter) : name.toLowerCase().includes(adapter.toLowerCase());
  });
  if (matching.length === 0)
    return none(`no adapter is named ${adapter}: there are ${names}`, 'Choose one with --adapter.');
  const chosen = matching.find(({ description }) => allowSoftware === true || !description.software);
  if (chosen !== undefined) return { kind: 'chosen', chosen };
  return none(
    `${matching[0]!.description.name} is no GPU: it computes on the processor, slowly`,
    `Use it all the same with --allow-software-adapter, or ${USE_ANOTHER}.`,
  );
}
