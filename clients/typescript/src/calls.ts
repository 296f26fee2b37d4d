import type { Events } from "./events.js";
import { backoff, type Queue } from "./queue.js";
import type { Service } from "./service.js";
import type { Answer, BatchAnswer, FeedbackEvent, NewEvent } from "./types.js";

/** The error of calls that are pending when the client is closed. */
export const CLOSED = new Error(
  "harken-client is closed; events that were not sent are kept for the next visit",
);

export function record(queue: Queue, events: Events, event: NewEvent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const done = (it: { answer: Answer } | { problem: unknown }): void =>
      "answer" in it ? resolve(it.answer) : reject(it.problem);
    queue.add([{ event: events.now(event), done }]);
  });
}

export function batch(queue: Queue, events: Events, given: NewEvent[]): Promise<BatchAnswer> {
  return new Promise((resolve, reject) => {
    const tally: BatchAnswer = { accepted: 0, duplicates: 0, rejected: [] };
    let left = given.length;
    if (!left) resolve(tally);
    const entry = (event: FeedbackEvent, index: number) => ({
      event,
      tally,
      done(it: { answer: Answer } | { problem: unknown }) {
        if ("problem" in it) {
          if (it.problem === CLOSED) reject(CLOSED);
          tally.rejected.push({ index, error: message(it.problem) });
        }
        if (!--left) resolve(tally);
      },
    });
    queue.add(given.map(events.now).map(entry));
  });
}

/** Undo a dismissal; retries until the service answers or `isClosed` returns true. */
export async function undismiss(
  queue: Queue,
  service: Service,
  retryMs: number,
  kblockId: string,
  isClosed: () => boolean,
): Promise<void> {
  const dismisses = ({ action, kblock_id }: FeedbackEvent): boolean =>
    action === "dismiss" && kblock_id === kblockId;
  // A queued dismissal would arrive after the request that undoes it.
  if (queue.entries.some(({ event }) => dismisses(event))) await queue.empty();
  for (let failures = 0; !isClosed(); failures++) {
    const outcome = await service.undismiss(kblockId);
    if ("answer" in outcome) return;
    if ("problem" in outcome) {
      if (outcome.status === 404) return; // not dismissed, perhaps undone by an earlier try
      throw outcome.problem;
    }
    const wait = backoff(retryMs, failures, outcome.retryAfterMs);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  throw CLOSED;
}

/** Return the promise; if the page ignores it, an error is no "unhandled rejection". */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function message(problem: unknown): string {
  const { detail, title } = (problem ?? {}) as { detail?: unknown; title?: unknown };
  return String(detail ?? title ?? "refused");
}
