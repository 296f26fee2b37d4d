import * as calls from "./calls.js";
import { createClock, newId } from "./clock.js";
import { createDwell } from "./dwell.js";
import { createEvents } from "./events.js";
import { createQueue } from "./queue.js";
import { createService } from "./service.js";
import { watch } from "./sight.js";
import { createStore, defaultStorage } from "./store.js";
import type { Client, FeedbackEvent, Options } from "./types.js";
import { createVisit } from "./visit.js";

/** Create a client. Later failures reject promises and never throw into the page. */
export function createClient(options: Options): Client {
  const { idleMs = 60_000, awayMs = 30_000, retryMs = 1_000 } = options;
  const clock = createClock(options.now);
  const events = createEvents(options, clock);
  const service = createService(options, clock.wall);
  const queue = createQueue(service, clock, retryMs, () => visit.keep(), giveUp);
  const dwell = createDwell(
    clock,
    idleMs,
    awayMs,
    (view) => queue.add([{ event: events.viewed(view) }]),
    ({ kblockId }) => guarded(() => options.onView?.(kblockId)),
  );
  // With tokens, an event can be sent by its own reader only.
  const reader = options.userToken ? ` as ${encodeURIComponent(options.userId)}` : "";
  const site = `harken${reader} ${options.baseUrl ?? ""}${options.prefix ?? ""} `;
  const storage = options.storage ?? defaultStorage();
  const store = createStore(storage, site, newId(clock.wall()), clock.wall);
  const visit = createVisit(queue, dwell, store, service, events);
  const sight = "IntersectionObserver" in globalThis ? watch(dwell, visit.measured) : undefined;
  let closed = false;

  function giveUp(refused: FeedbackEvent[], problem: unknown): void {
    guarded(() => options.onGiveUp?.(refused, problem));
  }

  /** Call a function of the page, whose errors do not stop the client. */
  function guarded(what: () => void): void {
    try {
      what();
    } catch (error) {
      console.error(error);
    }
  }

  /** Run a call, or reject with `CLOSED`. An ignored failure is no "unhandled rejection". */
  function call<T>(what: () => Promise<T>): Promise<T> {
    return calls.handled(closed ? Promise.reject(calls.CLOSED) : what());
  }

  visit.begin();
  return {
    record: (event) => call(() => calls.record(queue, events, event)),
    batch: (given) => call(() => calls.batch(queue, events, given)),
    observe(element, kblockId, context) {
      if (closed || !element || !sight) return () => undefined;
      return sight.observe(element, { ...context, kblockId });
    },
    undismiss: (id) => call(() => calls.undismiss(queue, service, retryMs, id, () => closed)),
    flush() {
      dwell.end(true);
      queue.wake();
      return queue.empty();
    },
    async close() {
      if (closed) return;
      closed = true;
      sight?.close();
      dwell.end();
      visit.end();
      await queue.close(calls.CLOSED);
    },
    get lastEventId() {
      return queue.lastId;
    },
    get pending() {
      return queue.entries.length;
    },
  };
}
