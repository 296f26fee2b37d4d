import type { components } from "./schema.js";

type Schemas = components["schemas"];
type Interaction = Schemas["Interaction"];

/** An event as the page records it. The client adds user, time and id. */
export type NewEvent = Omit<
  Interaction,
  "user_id" | "session_id" | "interaction_id" | "occurred_at" | "sent_at"
>;

/** A complete event as it is sent and stored. Times are ISO 8601 strings. */
export type FeedbackEvent = Interaction & {
  interaction_id: string;
  occurred_at: string;
  sent_at?: string;
};

/** The answer to a recorded event. `duplicate` is true if it was already in the log. */
export type Answer = Schemas["Recording"];

/** The result of a batch; `index` is the position of an event in it. */
export type BatchAnswer = Schemas["BatchRecording"];

/** A signed token that names a reader, or nothing. */
export type UserToken = string | null | undefined;

export interface Options {
  /** The id of the user; `guest` for an unknown one. */
  userId: string;
  /** The URL of the service; default: the origin of the page. */
  baseUrl?: string;
  /** The prefix of the routes; default: `/api`. */
  prefix?: string;
  /** The API key, sent as `X-API-Key`. Everybody who can open the page can read it. */
  apiKey?: string;
  /**
   * The user token of the reader `userId`, or a function that returns it, sent as
   * `Authorization: Bearer` in place of the key. A function is called before each request, and
   * once more if the service refuses the token: return a new one then. A result of `null` stands
   * for a reader who is not signed in.
   */
  userToken?: string | (() => UserToken | Promise<UserToken>);
  /** The session id of every event. */
  sessionId?: string;
  /** Where unsent events are stored; default: `localStorage`. */
  storage?: Storage;
  fetch?: typeof fetch;
  /** Returns milliseconds since 1970; default: `Date.now`, and `performance.now` for dwell times. */
  now?: () => number;
  /** Called with events that the service refused. They are not sent again. */
  onGiveUp?: (events: FeedbackEvent[], problem: unknown) => void;
  /** Called when a view begins: its card was looked at for a second. */
  onView?: (kblockId: string) => void;
  /** A reader without input for this long is inactive; default: 60,000 ms. */
  idleMs?: number;
  /** A view ends when its card was out of sight, or the page hidden, for this long; default: 30,000 ms. */
  awayMs?: number;
  /** The first wait before a retry; default: 1,000 ms. It doubles each time, up to a minute. */
  retryMs?: number;
}

/** The `request_id` of the page that a card came from, and its `position` there. */
export interface Context {
  requestId?: string;
  position?: number;
}

export interface Client {
  /** Record an event. Resolves when it is in the log; rejects with the problem if it is refused. */
  record(event: NewEvent): Promise<Answer>;
  /** Record many events. Some may be refused while others are accepted. */
  batch(events: NewEvent[]): Promise<BatchAnswer>;
  /** Measure the views of a card. Returns a function that stops measuring. */
  observe(element: Element, kblockId: string, context?: Context): () => void;
  /** Show a dismissed K-Block again. */
  undismiss(kblockId: string): Promise<void>;
  /** End the views of cards out of sight and send at once. Resolves when the queue is empty. */
  flush(): Promise<void>;
  /** End all views and send once. Events that cannot be sent are stored for the next visit. */
  close(): Promise<void>;
  /** The id of the event of this client that the service acknowledged last. */
  readonly lastEventId: string | undefined;
  /** The number of queued events, without views that have not ended. */
  readonly pending: number;
}
