import type { Clock } from "./clock.js";
import type { Outcome, Service } from "./service.js";
import type { Answer, BatchAnswer, FeedbackEvent } from "./types.js";

const MOST_WAIT_MS = 60_000;

type Settled = { answer: Answer } | { problem: unknown };

/** A queued event, with the callback for its result. */
export interface Entry {
  event: FeedbackEvent;
  done?: (settled: Settled) => void;
  /** The result of the call of `batch` that the event belongs to. */
  tally?: BatchAnswer;
}

export interface Queue {
  readonly entries: readonly Entry[];
  /** The id of the event that was acknowledged last. */
  readonly lastId: string | undefined;
  add(entries: Entry[]): void;
  /** Send at once, unless the service asked to wait. */
  wake(): void;
  /** Send nothing until `wake` is called. */
  hold(): void;
  /** Send once more; then reject all calls that are still pending. */
  close(problem: unknown): Promise<void>;
  /** Resolves when the queue is empty. */
  empty(): Promise<void>;
}

/** Return the milliseconds to wait before a retry; `failures` is the number of earlier retries. */
export function backoff(firstMs: number, failures: number, leastMs: number): number {
  const ms = Math.min(MOST_WAIT_MS, firstMs * 2 ** failures) * (0.5 + Math.random() / 2);
  return Math.max(ms, leastMs);
}

/**
 * Send events, one request at a time, until the service has accepted or refused each.
 *
 * A failed request is retried with exponential backoff and jitter, so that clients do not all
 * return at once after an outage of the service.
 */
export function createQueue(
  service: Service,
  clock: Clock,
  retryMs: number,
  changed: () => void,
  giveUp: (events: FeedbackEvent[], problem: unknown) => void,
): Queue {
  let entries: Entry[] = [];
  let sending: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let lastId: string | undefined;
  let earliest = 0; // the service asked to send nothing before this time
  let held = false;
  let waiting: (() => void)[] = [];

  function next(): Entry[] {
    const tally = entries[0]?.tally;
    const end = entries.findIndex((entry) => entry.tally !== tally);
    const run = end < 0 ? entries : entries.slice(0, end);
    return run.slice(0, service.fitting(run.map((entry) => entry.event)));
  }

  function refuse(refused: Entry[], problem: unknown): void {
    giveUp(refused.map((entry) => entry.event), problem);
    for (const entry of refused) entry.done?.({ problem });
  }

  function acknowledge({ event, done }: Entry, answer: Answer): void {
    lastId = event.interaction_id;
    done?.({ answer });
  }

  function tell(chunk: Entry[], answer: BatchAnswer): void {
    const errors = new Map(answer.rejected.map((each) => [each.index, each.error]));
    const tally = chunk[0]?.tally;
    if (tally) {
      tally.accepted += answer.accepted;
      tally.duplicates += answer.duplicates;
    }
    chunk.forEach((entry, at) => {
      const detail = errors.get(at);
      if (detail !== undefined) refuse([entry], { detail });
      else acknowledge(entry, { success: true, interaction_id: entry.event.interaction_id });
    });
  }

  /** Send one chunk; returns false if it must be sent again. */
  async function attempt(chunk: Entry[]): Promise<boolean> {
    const alone = chunk.length === 1 && !chunk[0]!.tally ? chunk[0]! : undefined;
    const outcome: Outcome<Answer | BatchAnswer> = alone
      ? await service.record(alone.event)
      : await service.batch(chunk.map((entry) => entry.event));
    if ("retryAfterMs" in outcome) {
      wait(outcome.retryAfterMs);
      return false;
    }
    failures = 0;
    entries = entries.filter((entry) => !chunk.includes(entry));
    changed();
    if ("problem" in outcome) refuse(chunk, outcome.problem);
    else if (alone) acknowledge(alone, outcome.answer as Answer);
    else tell(chunk, outcome.answer as BatchAnswer);
    return true;
  }

  async function run(): Promise<void> {
    await undefined; // events that the page records synchronously share one request
    while (entries.length && (await attempt(next())));
    sending = undefined;
    if (entries.length) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  function send(): void {
    if (!held && timer === undefined) sending ??= run();
  }

  function wait(retryAfterMs: number): void {
    earliest = clock.steady() + retryAfterMs;
    timer = setTimeout(again, backoff(retryMs, failures++, retryAfterMs));
  }

  function again(): void {
    clearTimeout(timer);
    timer = undefined;
    send();
  }

  function wake(): void {
    held = false;
    if (clock.steady() >= earliest) again();
  }

  return {
    get entries() {
      return entries;
    },
    get lastId() {
      return lastId;
    },
    add(more) {
      entries = [...entries, ...more];
      changed();
      send();
    },
    wake,
    hold() {
      held = true;
    },
    async close(problem) {
      wake();
      held = true;
      await sending;
      clearTimeout(timer);
      for (const resolve of waiting) resolve();
      for (const entry of entries) entry.done?.({ problem });
    },
    empty: () =>
      entries.length ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(),
  };
}
