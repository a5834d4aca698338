import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { loadMpi, type MpiAddon } from '../engines/mpi/load.js';
import { createExchange } from '../kernels/create.js';
import type { TensorExchange } from '../kernels/tensorflow/exchange.js';
import { ExitCode, InterruptedError, UserError } from '../support/errors.js';
import { type Node, nodesWithin, treeSum } from '../support/shard-tree.js';
import type { Communicator } from './communicator.js';
import { LostProcessError, processName } from './errors.js';
import { Inbox, type Message } from './messages.js';

/** A process that gives no sign of life for so many seconds is lost. Saving the state must fit into ten seconds, too. */
const SILENCE_SECONDS = 5;

/** What any process may tell all others. */
interface Failed extends Message {
  readonly kind: 'failed';
  readonly message: string;
  readonly code: number;
}

/** What a process tells process 0 when it is asked to stop. */
interface Stop extends Message {
  readonly kind: 'stop';
  readonly message: string;
  readonly code: number;
}

interface GroupOptions {
  readonly engine: Engine;
  /** Processes that the launcher has started, as far as it says so. */
  readonly size: number;
  /** Whether sums travel as bfloat16: half the bytes, but bits that depend on the number of processes. */
  readonly halves?: boolean;
}

/** The processes of a run, connected by MPI. One a process. */
export class ProcessGroup implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** Processes on this machine, this one included. */
  readonly here: number;
  /** Messages of the other processes that no listener takes. */
  readonly inbox = new Inbox<Message>();
  private readonly listeners = new Map<string, (message: Message, rank: number) => void>();
  /** Milliseconds in which a computation waited for other processes, so far. */
  waitedMilliseconds = 0;
  private readonly open = new Map<number, { resolve(values: Float64Array): void; reject(error: unknown): void }>();
  private ticket = 0;
  private readonly firstFailed: Promise<void>;
  private onFirstFailed!: () => void;
  private failure: LostProcessError | null = null;
  private readonly stopper = new AbortController();
  private readonly loser = new AbortController();
  private readonly halves: boolean;

  private constructor(
    private readonly addon: MpiAddon,
    private readonly exchange: TensorExchange,
    { size, halves = false }: Omit<GroupOptions, 'engine'>,
  ) {
    this.firstFailed = new Promise((resolve) => {
      this.onFirstFailed = resolve;
    });
    const started = addon.start((...event) => this.hear(...event), SILENCE_SECONDS);
    this.rank = started.rank;
    this.size = started.size;
    this.here = started.here;
    this.halves = halves;
    if (this.size !== size) {
      addon.stop(false);
      throw new UserError(
        `${size} processes were started, but MPI knows of ${this.size}: they were started by another MPI than ${addon.library}.`,
        'Start them with the mpirun of the MPI for which fcn engines install --mpi compiled, or run that command with --mpicxx PATH.',
      );
    }
  }

  /**
   * Connects this process with the others of its run.
   * @throws UserError if the engine's tensors cannot be exchanged, the operations for MPI are not installed, or these belong to another
   * MPI than the launcher.
   */
  static async start({ engine, ...options }: GroupOptions): Promise<ProcessGroup> {
    const exchange = createExchange(engine);
    if (exchange === null) {
      throw new UserError(
        `Several processes need the tensorflow engine on processors; this is ${engine.name} on a ${engine.device}.`,
        'Use --engine tensorflow (fcn engines install), or leave out --processes.',
      );
    }
    return new ProcessGroup(await loadMpi(), exchange, options);
  }

  /** Bytes that this process has sent in exchanges. */
  get bytesSent(): number {
    return this.addon.bytesSent();
  }

  /** Processor time that the exchange has taken of this process. */
  get exchangeSeconds(): number {
    return this.addon.exchangeSeconds();
  }

  /** What the MPI library says of itself, in one line. */
  get library(): string {
    return this.addon.library.replaceAll('\0', '').split('\n', 1)[0]!.trim();
  }

  /** Is aborted with an InterruptedError when another process is asked to stop. */
  get stopSignal(): AbortSignal {
    return this.stopper.signal;
  }

  /** Must be called before the first sum. @param shards Of the batch. */
  planSums(shards: number): void {
    const each = shards / this.size;
    const owners: number[] = [];
    const nodes: Node[] = [];
    for (let rank = 0; rank < this.size; rank++) {
      for (const node of nodesWithin({ begin: rank * each, end: (rank + 1) * each }, shards)) {
        owners.push(rank);
        nodes.push(node);
      }
    }
    const additions: number[] = [];
    const indexOf = ({ begin, end }: Node) => {
      const index = nodes.findIndex((node) => node.begin === begin && node.end === end);
      return index === -1 ? undefined : index;
    };
    treeSum({ begin: 0, end: shards }, indexOf, (left, right) => {
      additions.push(left, right);
      return left;
    });
    this.addon.setSumPlan(Int32Array.from(owners), Int32Array.from(additions), this.halves);
  }

  async gatherShards(parts: readonly Tensor3D[]): Promise<Tensor3D> {
    let all!: Tensor3D;
    await this.waited(
      this.submit((ticket) => {
        all = this.exchange.gather(ticket, parts);
      }),
    );
    return all;
  }

  async sum(nodes: readonly Tensor[]): Promise<Tensor> {
    const finished = this.submit((ticket) => this.exchange.sum(ticket, nodes));
    const [first, ...others] = nodes;
    // The exchange holds their memory.
    for (const other of others) other.dispose();
    await finished;
    return first!;
  }

  async gatherNumbers(values: readonly number[]): Promise<number[]> {
    const gathered = this.submit((ticket) => this.addon.gatherNumbers(ticket, Float64Array.from(values)));
    return Array.from(await this.waited(gathered));
  }

  /** Gives process 0's values of a float32 tensor to all. */
  async broadcast(values: Tensor): Promise<void> {
    await this.submit((ticket) => this.exchange.broadcast(ticket, values));
  }

  /** Sends a message to a process. */
  send(rank: number, message: Message): void {
    this.addon.send(rank, new TextEncoder().encode(JSON.stringify(message)));
  }

  /** Sends a message to all other processes. */
  sendAll(message: Message): void {
    for (let rank = 0; rank < this.size; rank++) if (rank !== this.rank) this.send(rank, message);
  }

  /** Has `listener` take the messages of a kind. @returns what ends that. */
  listen<M extends Message>(kind: M['kind'], listener: (message: M, rank: number) => void): () => void {
    this.listeners.set(kind, listener as (message: Message, rank: number) => void);
    return () => this.listeners.delete(kind);
  }

  /** Asks process 0 to stop all, because this process was asked to. */
  askToStop(reason: InterruptedError): void {
    this.send(0, { kind: 'stop', message: reason.message, code: reason.exitCode } satisfies Stop as Message);
  }

  /** Tells the others that this process fails; their exchanges fail, too. */
  tellFailure(error: unknown): void {
    // The others find out by themselves; but they wait for process 0 to save.
    if (error instanceof LostProcessError && this.rank > 0) return;
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof UserError || error instanceof InterruptedError ? error.exitCode : ExitCode.bug;
    this.sendAll({ kind: 'failed', message, code } satisfies Failed as Message);
  }

  /** Is aborted with a `LostProcessError` when a process is lost or has failed. */
  get lostSignal(): AbortSignal {
    return this.loser.signal;
  }

  /** Waits until process 0 has told that it fails, too: then it has saved. @param milliseconds At most. */
  async farewell(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const time = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([this.firstFailed, time]);
    clearTimeout(timer);
  }

  /** Leaves the group. @param together Whether all processes do. */
  stop(together: boolean): void {
    this.addon.stop(together && this.failure === null);
  }

  private submit(start: (ticket: number) => void): Promise<Float64Array> {
    if (this.failure !== null) return Promise.reject(this.failure);
    const ticket = this.ticket++;
    return new Promise((resolve, reject) => {
      this.open.set(ticket, { resolve, reject });
      start(ticket);
    });
  }

  private async waited<T>(promise: Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await promise;
    } finally {
      this.waitedMilliseconds += performance.now() - start;
    }
  }

  private hear(kind: string, number: number, problem: string, values: Float64Array | Uint8Array): void {
    if (kind === 'finished') {
      const open = this.open.get(number);
      this.open.delete(number);
      if (problem === '') open?.resolve(Float64Array.from(values));
      else open?.reject(this.failure ?? new LostProcessError(`MPI has failed: ${problem}.`));
    } else if (kind === 'lost') {
      const who = number < 0 ? 'MPI has failed' : `${capitalised(processName(number, this.size))} is lost`;
      // Nobody is left to wait for.
      if (number === 0) this.onFirstFailed();
      this.fail(new LostProcessError(`${who}: ${problem}.`));
    } else this.receive(number, JSON.parse(new TextDecoder().decode(values as Uint8Array)) as Message);
  }

  private receive(rank: number, message: Message): void {
    const from = capitalised(processName(rank, this.size));
    if (message.kind === 'failed') {
      const { message: text, code } = message as Failed;
      if (rank === 0) this.onFirstFailed();
      this.fail(new LostProcessError(`${from} has failed: ${text}`, code));
    } else if (message.kind === 'stop') {
      const { message: text, code } = message as Stop;
      this.stopper.abort(new InterruptedError(`${from}: ${text}`, code));
    } else {
      const listener = this.listeners.get(message.kind);
      if (listener === undefined) this.inbox.put(message);
      else listener(message, rank);
    }
  }

  private fail(error: LostProcessError): void {
    if (this.failure !== null) return;
    this.failure = error;
    for (const { reject } of this.open.values()) reject(error);
    this.open.clear();
    this.inbox.fail(error);
    this.loser.abort(error);
  }
}

const capitalised = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}`;
