import { type Clock, iso, newId } from "./clock.js";
import type { View } from "./dwell.js";
import type { FeedbackEvent, NewEvent, Options } from "./types.js";

/** That the service takes. */
const MOST_DWELL_MS = 86_400_000;

/** Makes whole events: of what the page says, and of views. */
export interface Events {
  now(event: NewEvent): FeedbackEvent;
  viewed(view: View): FeedbackEvent;
}

export function createEvents(options: Options, clock: Clock): Events {
  function made(event: object, id: string, at: number): FeedbackEvent {
    const { userId: user_id, sessionId: session_id } = options;
    const whole = { ...event, user_id, session_id, interaction_id: id, occurred_at: iso(at) };
    // What is sent again has to be the same, whatever the page does with its objects meanwhile.
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
