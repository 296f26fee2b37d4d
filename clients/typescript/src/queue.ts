import type { Clock } from "./clock.js";
import type { Outcome, Service } from "./service.js";
import type { Answer, BatchAnswer, FeedbackEvent } from "./types.js";

const MOST_WAIT_MS = 60_000;

type Settled = { answer: Answer } | { problem: unknown };

/** An event that waits, and who wants to know what becomes of it. */
export interface Entry {
  event: FeedbackEvent;
  done?: (settled: Settled) => void;
  /** Of one call of `batch`: what its events came to. Only they go into one request. */
  tally?: BatchAnswer;
}

export interface Queue {
  readonly entries: readonly Entry[];
  add(entries: Entry[]): void;
  /** Try at once, unless the service asked to wait. */
  wake(): void;
  /** Send nothing until it is woken. */
  hold(): void;
  /** Try once more and no further; then tell all who still wait. */
  close(problem: unknown): Promise<void>;
  /** Resolves when nothing waits. */
  empty(): Promise<void>;
}

/** Milliseconds to wait before a request that failed is repeated, for the `failures`-th time from 0. */
export function backoff(firstMs: number, failures: number, leastMs: number): number {
  const ms = Math.min(MOST_WAIT_MS, firstMs * 2 ** failures) * (0.5 + Math.random() / 2);
  return Math.max(ms, leastMs);
}

/**
 * Send events, one request after the other, until the service has taken or refused each.
 *
 * A request that fails is repeated after a wait that doubles each time, with chance in it, so that
 * the readers of a service that was away do not all come back at once.
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
  let earliest = 0; // before this, the service wants nothing
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
      else entry.done?.({ answer: { success: true, interaction_id: entry.event.interaction_id } });
    });
  }

  /** Send one chunk; false where it has to be sent again. */
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
    else if (alone) alone.done?.({ answer: outcome.answer as Answer });
    else tell(chunk, outcome.answer as BatchAnswer);
    return true;
  }

  async function run(): Promise<void> {
    await undefined; // what the page records in one go is sent in one
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
