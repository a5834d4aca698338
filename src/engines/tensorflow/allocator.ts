/** Sizes are multiples of this many bytes (tensorflow 2.21, xla/tsl/framework/bfc_allocator.h, kMinAllocationSize). */
const UNIT = 256;

/** Free chunks lie in bins of at least UNIT, 2·UNIT, 4·UNIT … bytes; the last bin has no upper limit (kNumBins = 21). */
const LAST_BIN = 20;

/** Size of the first region. Later ones are at least twice as large each. */
const FIRST_REGION = 2 * 2 ** 20;

/** A chunk is split if the rest is as large as what was asked for, or at least this large. */
const MOST_UNUSED = 128 * 2 ** 20;

/** glibc places smaller regions on the heap, upwards, and larger ones above it, downwards (`SETTINGS` in environment.ts). */
const HEAP_REGION = 32 * 2 ** 20;

/** Resident memory is counted in blocks of this many bytes. */
const BLOCK = 2 ** 16;

/** Blocks [from, to). */
type BlockSpan = readonly [from: number, to: number];

/** Memory that the allocator got from the system. It never gives it back. */
interface Region {
  readonly bytes: number;
  /** Regions in the order of their addresses have ascending places. */
  readonly place: number;
  /** Blocks that were ever used, as spans apart from each other: the system adds a page to the process when it is first written. */
  used: readonly BlockSpan[];
}

/** A part of a region: a tensor, or free. */
export interface Chunk {
  readonly region: Region;
  readonly start: number;
  size: number;
  isFree: boolean;
  previous: Chunk | null;
  next: Chunk | null;
}

/**
 * A copy of TensorFlow's allocator on CPUs with oneDNN (MklCPUAllocator on a BFCAllocator) that has no memory, but chooses the same
 * places. Freed memory stays in the process, new regions double in size, and a tensor may get a chunk of up to twice its size. So the
 * process is larger than its tensors, and this tells by how much.
 */
export class BestFitAllocator {
  private readonly regions: Region[] = [];
  /** Free chunks of each bin, by size and then by address. */
  private readonly bins: Chunk[][] = Array.from({ length: LAST_BIN + 1 }, () => []);
  private nextRegion = FIRST_REGION;
  private usedBlocks = 0;

  /** Bytes of all memory that was ever used, and so is resident. */
  get residentBytes(): number {
    return this.usedBlocks * BLOCK;
  }

  allocate(bytes: number): Chunk {
    const size = Math.ceil(bytes / UNIT) * UNIT;
    let chunk = this.find(size);
    if (chunk === null) {
      this.addRegion(size);
      chunk = this.find(size)!;
    }
    chunk.isFree = false;
    this.use(chunk.region, chunk.start, chunk.start + bytes);
    return chunk;
  }

  /** Frees a chunk, and joins it with free neighbours. */
  free(freed: Chunk): void {
    let chunk = freed;
    chunk.isFree = true;
    const { next, previous } = chunk;
    if (next?.isFree) {
      this.remove(next);
      join(chunk, next);
    }
    if (previous?.isFree) {
      this.remove(previous);
      join(previous, chunk);
      chunk = previous;
    }
    this.insert(chunk);
  }

  /** Takes the smallest free chunk of the first bin that has one of this size, and splits off what is not needed. */
  private find(size: number): Chunk | null {
    for (let bin = binOf(size); bin <= LAST_BIN; bin++) {
      const index = this.bins[bin]!.findIndex((chunk) => chunk.size >= size);
      if (index < 0) continue;
      const [chunk] = this.bins[bin]!.splice(index, 1) as [Chunk];
      if (chunk.size >= 2 * size || chunk.size - size >= MOST_UNUSED) this.split(chunk, size);
      return chunk;
    }
    return null;
  }

  private split(chunk: Chunk, size: number): void {
    const { region, start, next } = chunk;
    const rest = { region, start: start + size, size: chunk.size - size, isFree: true, previous: chunk, next };
    if (next !== null) next.previous = rest;
    chunk.next = rest;
    chunk.size = size;
    this.insert(rest);
  }

  private addRegion(size: number): void {
    const isLargeEnough = this.nextRegion >= size;
    while (this.nextRegion < size) this.nextRegion *= 2;
    const bytes = this.nextRegion;
    if (isLargeEnough) this.nextRegion *= 2;
    const index = this.regions.length;
    const place = bytes < HEAP_REGION ? index : Number.MAX_SAFE_INTEGER - index;
    const region = { bytes, place, used: [] };
    this.regions.push(region);
    this.insert({ region, start: 0, size: bytes, isFree: true, previous: null, next: null });
  }

  private use(region: Region, start: number, end: number): void {
    const [from, to] = [Math.floor(start / BLOCK), Math.ceil(end / BLOCK)];
    const touched = region.used.filter((span) => span[0] <= to && from <= span[1]);
    const joined: BlockSpan = [
      Math.min(from, ...touched.map((span) => span[0])),
      Math.max(to, ...touched.map((span) => span[1])),
    ];
    this.usedBlocks += length(joined) - touched.reduce((sum, span) => sum + length(span), 0);
    region.used = [...region.used.filter((span) => !touched.includes(span)), joined];
  }

  private insert(chunk: Chunk): void {
    const bin = this.bins[binOf(chunk.size)]!;
    const index = bin.findIndex((other) => isBefore(chunk, other));
    bin.splice(index < 0 ? bin.length : index, 0, chunk);
  }

  private remove(chunk: Chunk): void {
    const bin = this.bins[binOf(chunk.size)]!;
    bin.splice(bin.indexOf(chunk), 1);
  }
}

function length([from, to]: BlockSpan): number {
  return to - from;
}

function binOf(size: number): number {
  return Math.min(LAST_BIN, Math.floor(Math.log2(size / UNIT)));
}

function isBefore(a: Chunk, b: Chunk): boolean {
  return (a.size - b.size || a.region.place - b.region.place || a.start - b.start) < 0;
}

/** Adds the chunk after it to a chunk. */
function join(chunk: Chunk, next: Chunk): void {
  chunk.size += next.size;
  chunk.next = next.next;
  if (next.next !== null) next.next.previous = chunk;
}
