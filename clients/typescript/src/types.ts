import type { components } from "./schema.js";

type Schemas = components["schemas"];
type Interaction = Schemas["Interaction"];

/** What the page says of an event. The client adds who, when and under which id. */
export type NewEvent = Omit<
  Interaction,
  "user_id" | "session_id" | "interaction_id" | "occurred_at" | "sent_at"
>;

/** An event as it is kept until the service has it. The client writes times as text. */
export type FeedbackEvent = Interaction & {
  interaction_id: string;
  occurred_at: string;
  sent_at?: string;
};

/** An event is in the log. `duplicate` says that it was there before, where it was sent alone. */
export type Answer = Schemas["Recording"];

/** What became of a batch; `index` is an event's place in it. */
export type BatchAnswer = Schemas["BatchRecording"];

export interface Options {
  /** Who reads; `guest` for an unknown reader. */
  userId: string;
  /** Where the service is; else where the page came from. */
  baseUrl?: string;
  /** What the service's routes begin with; else `/api`. */
  prefix?: string;
  /** Sent as `X-API-Key`. Whoever can read the page can read it. */
  apiKey?: string;
  /** Goes along with every event. */
  sessionId?: string;
  /** Keeps what is not sent yet; else `localStorage`. */
  storage?: Storage;
  fetch?: typeof fetch;
  /** Milliseconds since 1970; else the system's clocks, where dwell is measured by one that never jumps. */
  now?: () => number;
  /** Told of events that the service refuses. They are not sent again. */
  onGiveUp?: (events: FeedbackEvent[], problem: unknown) => void;
  /** Without input for so long, a reader counts as inactive; else 60,000 ms. */
  idleMs?: number;
  /** A view ends when its card was out of sight, or the page hidden, for so long; else 30,000 ms. */
  awayMs?: number;
  /** The first wait before a failed request is repeated; else 1,000 ms. Each next one doubles, up to a minute. */
  retryMs?: number;
}

/** Where a card came from: its page's `request_id`, and its `position` there. */
export interface Context {
  requestId?: string;
  position?: number;
}

export interface Client {
  /** Record an event. Resolves when it is in the log; rejects with the problem where it is refused. */
  record(event: NewEvent): Promise<Answer>;
  /** Record many events, as `record` does. Some may be refused while others are taken. */
  batch(events: NewEvent[]): Promise<BatchAnswer>;
  /** Measure how long a card is looked at. The answer ends that. */
  observe(element: Element, kblockId: string, context?: Context): () => void;
  /** Show a dismissed K-Block again. */
  undismiss(kblockId: string): Promise<void>;
  /** End the views of cards out of sight, try to send at once, and resolve when nothing waits. */
  flush(): Promise<void>;
  /** End all views and try once to send. What cannot be sent is kept for the next visit. */
  close(): Promise<void>;
  /** How many events wait until the service has them; views that last are not among them. */
  readonly pending: number;
}
