import type { Dwell } from "./dwell.js";
import type { Events } from "./events.js";
import type { Queue } from "./queue.js";
import type { Service } from "./service.js";
import type { Store } from "./store.js";

/** How often what is measured is kept, and tabs that are gone are looked for. */
const BEAT_MS = 15_000;

/** One page's life, from opening to leaving: what is measured is kept, and nothing is lost. */
export interface Visit {
  begin(): void;
  /** Keep what waits and what lasts. */
  keep(): void;
  /** Keep, and wait for the next moment at which `dwell` changes by itself. */
  measured(): void;
  /** Leave what is kept to the next visit. */
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

  /** Take over what tabs that are gone could not send. */
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
    // Nobody says whether this arrives, so the next visit sends it again, with the same ids.
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
