import type { Card, Dwell } from "./dwell.js";

const INPUTS = ["pointerdown", "pointermove", "keydown", "scroll", "wheel"];

interface Target {
  card: Card;
  /** At least half of it is visible. */
  half: boolean;
  /** It crosses the middle of the viewport. */
  middle: boolean;
  /** It is taller than the viewport. */
  tall: boolean;
}

export interface Sight {
  observe(element: Element, card: Card): () => void;
  close(): void;
}

/**
 * Report visible cards, the visibility of the page and input of the reader to a `Dwell`.
 *
 * A card that is taller than the viewport must fill half of it. That is so exactly when the card
 * crosses the middle of the viewport, which a second observer reports.
 */
export function watch(dwell: Dwell, changed: () => void): Sight {
  const targets = new Map<Element, Target>();
  const change = (what: () => void): void => {
    what();
    changed();
  };

  function observer(part: "half" | "middle", init: IntersectionObserverInit): IntersectionObserver {
    return new IntersectionObserver((entries) => {
      change(() => {
        for (const entry of entries) {
          const target = targets.get(entry.target);
          if (!target) continue;
          target[part] = entry.isIntersecting && entry.intersectionRatio >= (init.threshold as number);
          target.tall = entry.boundingClientRect.height > innerHeight;
          const inSight = target.half || (target.tall && target.middle);
          dwell.seen(target.card, entry.target, inSight);
        }
      });
    }, init);
  }

  const half = observer("half", { threshold: 0.5 });
  const middle = observer("middle", { threshold: 0, rootMargin: "-50% 0px" });

  const stop = (element: Element): void => {
    const target = targets.get(element);
    if (!target) return;
    targets.delete(element);
    half.unobserve(element);
    middle.unobserve(element);
    change(() => dwell.seen(target.card, element, false));
  };

  const visibility = (): void =>
    change(() => {
      const visible = document.visibilityState === "visible";
      dwell.shown(visible);
      if (visible) dwell.active(); // a reader who opens or returns to the page is active
    });
  const input = (): void => dwell.active();
  const passive = { capture: true, passive: true };

  visibility();
  document.addEventListener("visibilitychange", visibility);
  for (const name of INPUTS) document.addEventListener(name, input, passive);

  return {
    observe(element, card) {
      stop(element);
      const target = { card, half: false, middle: false, tall: false };
      targets.set(element, target);
      half.observe(element);
      middle.observe(element);
      return () => {
        if (targets.get(element) === target) stop(element);
      };
    },
    close() {
      for (const element of targets.keys()) stop(element);
      half.disconnect();
      middle.disconnect();
      document.removeEventListener("visibilitychange", visibility);
      for (const name of INPUTS) document.removeEventListener(name, input, passive);
    },
  };
}
