import { type Clock, iso, newId } from "./clock.js";
import type { View } from "./dwell.js";
import type { FeedbackEvent, NewEvent, Options } from "./types.js";

/** The highest dwell time that the service accepts, in milliseconds. */
const MOST_DWELL_MS = 86_400_000;

/** Creates complete events from calls of the page and from views. */
export interface Events {
  now(event: NewEvent): FeedbackEvent;
  viewed(view: View): FeedbackEvent;
}

export function createEvents(options: Options, clock: Clock): Events {
  function made(event: object, id: string, at: number): FeedbackEvent {
    const { userId: user_id, sessionId: session_id } = options;
    const whole = { ...event, user_id, session_id, interaction_id: id, occurred_at: iso(at) };
    // A copy, so that a retry sends the same event even if the page changes its object.
    return JSON.parse(JSON.stringify(whole)) as FeedbackEvent;
  }

  return {
    now(event) {
      const at = clock.wall();
      return made(event, newId(at), at);
    },
    viewed({ card, id, began, dwell }) {
      const event = {
        kblock_id: card.kblockId,
        action: "view",
        dwell_time_ms: Math.min(Math.round(dwell), MOST_DWELL_MS),
        request_id: card.requestId,
        position: card.position,
      };
      return made(event, id, began);
    },
  };
}
