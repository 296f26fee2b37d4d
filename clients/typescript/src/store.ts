import type { FeedbackEvent } from "./types.js";

/** Of a tab that has written nothing for so long, it is believed that it is gone. */
const LEASE_MS = 5 * 60_000;

interface Kept {
  /** When it was written; 0 by a tab that was leaving. */
  at: number;
  events: FeedbackEvent[];
}

export interface Store {
  /** Keep these events in place of those before. */
  save(events: FeedbackEvent[], leaving?: boolean): void;
  /** Events of tabs that are gone; `forget` when they are saved as this tab's own. */
  orphans(): { events: FeedbackEvent[]; forget(): void };
}

/**
 * What one tab keeps: an entry of its own in the storage that all tabs of a site share.
 *
 * Of two tabs that take the same orphan at once, both send the same events with the same ids, which
 * count once. Where there is no storage, or no room in it, nothing is kept and nothing fails.
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
        // No room, or not allowed: what is in memory is still sent.
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

/** The browser's storage, unless a page may not have it. */
export function defaultStorage(): Storage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}
