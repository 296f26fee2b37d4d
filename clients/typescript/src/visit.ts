import type { Dwell } from "./dwell.js";
import type { Events } from "./events.js";
import type { Queue } from "./queue.js";
import type { Service } from "./service.js";
import type { Store } from "./store.js";

/** The interval of storing measured views and of taking over events of closed tabs. */
const BEAT_MS = 15_000;

/** The visit of one page: stores measured views and queued events until they are sent. */
export interface Visit {
  begin(): void;
  /** Store queued events and views that have not ended. */
  keep(): void;
  /** Store, and set the timer for the next change of `dwell`. */
  measured(): void;
  /** Stop, and leave the stored events to the next visit. */
  end(): void;
}

export function createVisit(
  queue: Queue,
  dwell: Dwell,
  store: Store,
  service: Service,
  events: Events,
): Visit {
  const listeners = { online: queue.wake, pageshow: back, pagehide: leave };
  const isPage = "addEventListener" in globalThis;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let beat: ReturnType<typeof setInterval> | undefined;
  let leaving = false;

  function keep(): void {
    const waiting = queue.entries.map((entry) => entry.event);
    store.save([...waiting, ...dwell.views().map(events.viewed)], leaving);
  }

  function measured(): void {
    clearTimeout(timer);
    const next = dwell.next();
    if (next < Infinity) timer = setTimeout(measure, Math.ceil(next));
    keep();
  }

  function measure(): void {
    dwell.update();
    measured();
  }

  /** Take over the unsent events of closed tabs. */
  function adopt(): void {
    const { events: found, forget } = store.orphans();
    if (found.length) queue.add(found.map((event) => ({ event })));
    forget();
  }

  function leave(): void {
    leaving = true;
    queue.hold();
    dwell.end();
    keep();
    // A beacon has no answer, so the next visit sends the same events again, with the same ids.
    for (let rest = queue.entries.map((entry) => entry.event); rest.length; ) {
      const count = service.fitting(rest);
      service.part(rest.slice(0, count));
      rest = rest.slice(count);
    }
  }

  function back(): void {
    leaving = false;
    queue.wake();
    measure();
  }

  return {
    keep,
    measured,
    begin() {
      adopt();
      beat = setInterval(() => {
        measure();
        adopt();
      }, BEAT_MS);
      if (!isPage) return;
      for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
    },
    end() {
      leaving = true;
      keep();
      clearTimeout(timer);
      clearInterval(beat);
      if (!isPage) return;
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener);
    },
  };
}
