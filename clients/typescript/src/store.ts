import type { FeedbackEvent } from "./types.js";

/** A tab that has written nothing for this long counts as closed, in milliseconds. */
const LEASE_MS = 5 * 60_000;

interface Kept {
  /** When it was written, in milliseconds since 1970; 0 if the tab was closing. */
  at: number;
  events: FeedbackEvent[];
}

export interface Store {
  /** Store these events; they replace the earlier ones. */
  save(events: FeedbackEvent[], leaving?: boolean): void;
  /** Events of closed tabs; call `forget` when this tab has stored them. */
  orphans(): { events: FeedbackEvent[]; forget(): void };
}

/**
 * The stored events of one tab: an entry in the storage that all tabs of a site share.
 *
 * If two tabs take over the same entry at once, both send its events with the same ids, which the
 * service counts once. Without storage, or if it is full, nothing is stored and nothing fails.
 */
export function createStore(
  storage: Storage | undefined,
  prefix: string,
  own: string,
  wall: () => number,
): Store {
  const ownKey = prefix + own;

  function isOrphan(key: string): boolean {
    if (!key.startsWith(prefix) || key === ownKey) return false;
    return Math.abs(wall() - (read(key)?.at ?? 0)) > LEASE_MS;
  }

  function read(key: string): Kept | undefined {
    try {
      const kept = JSON.parse(storage!.getItem(key)!) as Kept;
      return Array.isArray(kept.events) ? kept : undefined;
    } catch {
      return undefined;
    }
  }

  return {
    save(events, leaving = false) {
      try {
        const kept: Kept = { at: leaving ? 0 : wall(), events };
        if (events.length) storage?.setItem(ownKey, JSON.stringify(kept));
        else storage?.removeItem(ownKey);
      } catch {
        // Full or not allowed: the events in memory are still sent.
      }
    },
    orphans() {
      const keys = Array.from({ length: storage?.length ?? 0 }, (_, at) => storage!.key(at)!);
      const gone = keys.filter(isOrphan);
      return {
        events: gone.flatMap((key) => read(key)?.events ?? []),
        forget: () => gone.forEach((key) => storage!.removeItem(key)),
      };
    },
  };
}

/** Return the storage of the browser, or undefined if the page may not use it. */
export function defaultStorage(): Storage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}
