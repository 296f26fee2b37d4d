import { type Clock, newId } from "./clock.js";
import type { Context } from "./types.js";

/** A view begins when a card is looked at for this long without a break, in milliseconds. */
export const VIEW_MS = 1_000;

export interface Card extends Context {
  kblockId: string;
}

/** A view that may continue. Its event gets `id` and `began` (milliseconds since 1970). */
export interface View {
  card: Card;
  id: string;
  began: number;
  dwell: number;
}

interface Look extends View {
  /** The elements that show the card. */
  seen: Set<unknown>;
  /** The time up to which `dwell` is counted; undefined if the card is not looked at. */
  from: number | undefined;
  /** The time since which the card is out of sight; undefined if it is in sight. */
  away: number | undefined;
  /** Whether `began` was called for it. */
  told: boolean;
}

export interface Dwell {
  /** The page was shown or hidden. */
  shown(visible: boolean): void;
  /** There was input of the reader. */
  active(): void;
  /** An element of a card came into sight or left it. */
  seen(card: Card, by: unknown, inSight: boolean): void;
  /** Count the time until now, and end views that are over. */
  update(): void;
  /** End all views, or only those of cards out of sight. */
  end(awayOnly?: boolean): void;
  /** The views that have not ended. */
  views(): View[];
  /** Milliseconds until the next `update` is needed. */
  next(): number;
}

/**
 * Measure views, independently of a browser.
 *
 * A card is looked at while an element of it is in sight, the page is visible, and the reader did
 * something within the last `idleMs`. Its view begins with the first look of at least a second,
 * sums up all looks, and ends when the card was out of sight, or the page hidden, for `awayMs`.
 * Inactivity pauses a view and does not end it.
 */
export function createDwell(
  clock: Clock,
  idleMs: number,
  awayMs: number,
  ended: (view: View) => void,
  began: (card: Card) => void = () => undefined,
): Dwell {
  const looks = new Map<string, Look>();
  let visible = true;
  let lastInput = clock.steady();

  const isAway = (look: Look): boolean => !visible || !look.seen.size;

  function pause(look: Look): void {
    look.from = undefined;
    if (look.dwell < VIEW_MS) look.dwell = 0;
  }

  function resume(look: Look, now: number): void {
    if (!look.dwell && look.from === undefined) {
      look.began = clock.wall();
      look.id = newId(look.began);
    }
    look.from = now;
  }

  function finish(key: string, look: Look): void {
    pause(look);
    const view = { ...look };
    look.dwell = 0;
    look.told = false;
    if (!look.seen.size) looks.delete(key);
    if (view.dwell) ended(view);
  }

  function update(): void {
    const now = clock.steady();
    const idleAt = lastInput + idleMs;
    for (const [key, each] of looks) {
      // No timer ran for a while, as with a closed lid: the reader became idle in that time.
      if (each.from !== undefined) each.dwell += Math.max(0, Math.min(now, idleAt) - each.from);
      if (each.dwell >= VIEW_MS && !each.told) {
        each.told = true;
        began(each.card);
      }
      if (isAway(each)) each.away ??= now;
      else each.away = undefined;
      if (each.away === undefined && now < idleAt) resume(each, now);
      else pause(each);
      if (each.away !== undefined && (!each.dwell || now - each.away >= awayMs)) finish(key, each);
    }
  }

  /** Count the time until now before a change of the state. */
  function change(what: () => void): void {
    update();
    what();
    update();
  }

  return {
    update,
    shown: (now) => change(() => (visible = now)),
    active() {
      const now = clock.steady();
      if (now < lastInput + idleMs) lastInput = now;
      else change(() => (lastInput = now));
    },
    seen: (card, by, inSight) =>
      change(() => {
        const key = JSON.stringify([card.kblockId, card.requestId, card.position]);
        let each = looks.get(key);
        if (!each) {
          if (!inSight) return;
          each = { card, id: "", began: 0, dwell: 0, seen: new Set(), from: undefined, away: undefined, told: false };
          looks.set(key, each);
        }
        if (inSight) each.seen.add(by);
        else each.seen.delete(by);
      }),
    end(awayOnly) {
      update();
      for (const [key, each] of looks) if (!awayOnly || each.away !== undefined) finish(key, each);
    },
    views: () => [...looks.values()].filter((each) => each.dwell >= VIEW_MS),
    next() {
      const now = clock.steady();
      const waits = [...looks.values()].flatMap((each) => [
        each.from === undefined ? Infinity : lastInput + idleMs - now,
        each.from === undefined || each.dwell >= VIEW_MS ? Infinity : VIEW_MS - each.dwell,
        each.away === undefined || !each.dwell ? Infinity : each.away + awayMs - now,
      ]);
      return Math.max(0, Math.min(...waits));
    },
  };
}
