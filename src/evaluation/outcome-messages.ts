import { NonFiniteOutputError } from '../network/overflow.js';
import type { Message } from '../parallel/messages.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { ImageOutcomes } from './image-outcomes.js';

/** What the other processes tell process 0, for each of their images. */
interface OutcomeMessage<Outcome> extends Message {
  readonly kind: 'image';
  /** Of the work that process 0 has ordered. */
  readonly id: number;
  /** Of the image. */
  readonly number: number;
  readonly outcome: Outcome;
}

/** The network's output is not finite. */
interface NonFiniteMessage extends Message {
  readonly kind: 'not finite';
  readonly id: number;
  readonly what: string;
  readonly fault: string;
  readonly name: string | null;
}

let nextId = 0;

/** In process 0: an id that tells the messages of one order from those of an earlier one, which may still come. */
export const newOrderId = (): number => nextId++;

/** In process 0: puts what the others tell of an order to `outcomes`. @returns what ends that. */
export function listenToOthers<Outcome>(group: ProcessGroup, id: number, outcomes: ImageOutcomes<Outcome>): () => void {
  const ends = [
    group.listen<OutcomeMessage<Outcome>>('image', (message) => {
      if (message.id === id) outcomes.put(message.number, message.outcome);
    }),
    group.listen<NonFiniteMessage>('not finite', ({ id: of, what, name, fault }) => {
      if (of === id) outcomes.fail(new NonFiniteOutputError(what, name, fault));
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** In the others: tells process 0 of an order's images. */
export function reporter<Outcome>(group: ProcessGroup, id: number) {
  return {
    outcome: (number: number, outcome: Outcome): void =>
      group.send(0, { kind: 'image', id, number, outcome } satisfies OutcomeMessage<Outcome> as Message),
    notFinite: ({ what, fault, image }: NonFiniteOutputError): void =>
      group.send(0, { kind: 'not finite', id, what, fault, name: image } satisfies NonFiniteMessage as Message),
  };
}

/** Fails `outcomes` once one of the signals is aborted. @returns what ends that. */
export function failOnAbort(
  outcomes: ImageOutcomes<unknown>,
  signals: readonly (AbortSignal | undefined)[],
): () => void {
  const endings = signals.flatMap((signal) =>
    signal === undefined ? [] : [{ signal, end: () => outcomes.fail(signal.reason) }],
  );
  for (const { signal, end } of endings) {
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  }
  return () => {
    for (const { signal, end } of endings) signal.removeEventListener('abort', end);
  };
}
