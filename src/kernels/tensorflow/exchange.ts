import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Engine } from '../../engines/engine.js';
import { thenDispose } from '../kernels.js';
import { Operations } from './operations.js';

/**
 * Hands tensors over to MPI (src/engines/native/mpi/operations.cc), without copying them. All calls return at once; the tensors may be
 * read once the exchange with the ticket is complete, and disposed at any time.
 */
export interface TensorExchange {
  /** The sum over all processes takes the place of the first node's values. */
  sum(ticket: number, nodes: readonly Tensor[]): void;
  /** [1, 2, C] of each shard of this process → [shards, 2, C] of all. */
  gather(ticket: number, parts: readonly Tensor3D[]): Tensor3D;
  /** Process 0's values take the place of those of the others. */
  broadcast(ticket: number, values: Tensor): void;
}

export function tensorExchange(engine: Engine): TensorExchange {
  const operations = new Operations(engine, () => {});
  /** The ticket is an input, not an attribute: TensorFlow keeps a kernel for every value of an attribute. */
  const withTicket = <T>(ticket: number, body: (ticket: Tensor) => T): T => {
    const scalar = engine.tf.scalar(ticket, 'int32');
    return thenDispose(body(scalar), scalar);
  };
  const count = (tensors: readonly Tensor[]) => [operations.attribute('N', tensors.length)];
  return {
    sum: (ticket, nodes) =>
      withTicket(ticket, (number) => void operations.runMany('FcnMpiSum', count(nodes), [number, ...nodes], 0)),
    gather: (ticket, parts) =>
      withTicket(ticket, (number) => operations.run<Tensor3D>('FcnMpiGather', count(parts), [number, ...parts])),
    broadcast: (ticket, values) =>
      withTicket(ticket, (number) => void operations.runMany('FcnMpiBroadcast', [], [number, values], 0)),
  };
}
