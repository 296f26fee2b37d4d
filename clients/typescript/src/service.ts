import { iso } from "./clock.js";
import { createCredentials } from "./credentials.js";
import type { paths } from "./schema.js";
import type { Answer, BatchAnswer, FeedbackEvent, Options } from "./types.js";

const RECORD = "/api/feed/feedback/record" satisfies keyof paths;
const BATCH = "/api/feed/feedback/batch" satisfies keyof paths;
const DISMISSALS = "/api/feed/dismissals/{kblock_id}" satisfies keyof paths;

/** The highest size of a request: browsers send this much when a page closes. */
export const MOST_BYTES = 64 * 1024;
const MOST_EVENTS = 1_000;
const TIMEOUT_MS = 30_000;
/** Statuses 400 to 499 that are retried: timeout, too early, too many requests. */
const AGAIN = [408, 425, 429];

/** An answer, or the problem of a refused request, or the wait before a retry. */
export type Outcome<T> = { answer: T } | { problem: unknown; status: number } | { retryAfterMs: number };

export interface Service {
  record(event: FeedbackEvent): Promise<Outcome<Answer>>;
  batch(events: FeedbackEvent[]): Promise<Outcome<BatchAnswer>>;
  undismiss(kblockId: string): Promise<Outcome<object>>;
  /** Send without an answer, from a page that closes. */
  part(events: FeedbackEvent[]): void;
  /** Return the first events that fit into one request, at least one. */
  fitting(events: FeedbackEvent[]): number;
}

export function createService(options: Options, wall: () => number): Service {
  const base = (options.baseUrl ?? location.origin).replace(/\/$/, "");
  const url = (path: string): string => base + (options.prefix ?? "/api") + path.slice(4);
  const call: typeof fetch = async (...given) => (options.fetch ?? fetch)(...given);
  const type = "application/json";
  const credentials = createCredentials(options);
  // A beacon has no headers, and to other origins it sends credentials, which CORS must allow.
  const beacons =
    "location" in globalThis &&
    !options.apiKey &&
    !options.userToken &&
    new URL(base, location.href).origin === location.origin;

  const sent = (event: FeedbackEvent): FeedbackEvent => ({ ...event, sent_at: iso(wall()) });
  const several = (events: FeedbackEvent[]): string => JSON.stringify({ events: events.map(sent) });
  const bytes = (text: string): number => new TextEncoder().encode(text).length;

  async function ask<T extends object>(
    field: string,
    method: string,
    path: string,
    body?: string,
  ): Promise<Outcome<T>> {
    try {
      const keepalive = !body; // small enough for `keepalive`
      const response = await credentials.used((own) => {
        const signal = AbortSignal.timeout?.(TIMEOUT_MS) ?? null;
        const headers = { "Content-Type": type, ...own };
        return call(url(path), { method, headers, body: body ?? null, signal, keepalive });
      });
      const { ok, status } = response;
      if (ok) {
        const answer = (await response.json()) as T;
        // Not the service, but for example the sign-in page of a network.
        return field in answer ? { answer } : { retryAfterMs: 0 };
      }
      if (again(status)) {
        return { retryAfterMs: waits(response.headers.get("Retry-After"), wall()) };
      }
      const problem: unknown = await response.json().catch(() => ({ status, title: response.statusText }));
      return { problem, status };
    } catch {
      return { retryAfterMs: 0 }; // no network, a timeout, or an answer of another server
    }
  }

  function fitting(events: FeedbackEvent[]): number {
    let size = bytes(several([]));
    const past = events.findIndex((event) => (size += bytes(JSON.stringify(sent(event))) + 1) > MOST_BYTES);
    return Math.min(past < 0 ? events.length : Math.max(past, 1), MOST_EVENTS);
  }

  function part(events: FeedbackEvent[]): void {
    const body = several(events);
    const blob = new Blob([body], { type });
    if (beacons && navigator.sendBeacon?.(url(BATCH), blob)) return;
    const own = credentials.last();
    if (!own) return; // the next visit sends these events
    const headers = { "Content-Type": type, ...own };
    call(url(BATCH), { method: "POST", headers, body, keepalive: true }).catch(() => undefined);
  }

  return {
    record: (event) => ask("interaction_id", "POST", RECORD, JSON.stringify(sent(event))),
    batch: (events) => ask("rejected", "POST", BATCH, several(events)),
    undismiss(kblockId) {
      const path = DISMISSALS.replace("{kblock_id}", encodeURIComponent(kblockId));
      return ask("success", "DELETE", `${path}?user_id=${encodeURIComponent(options.userId)}`);
    },
    part,
    fitting,
  };
}

/** Return whether a request that got this status is sent again. */
export function again(status: number): boolean {
  return status < 400 || status > 499 || AGAIN.includes(status);
}

/** Return the milliseconds of `Retry-After`, given in seconds or as a date; at most an hour. */
export function waits(header: string | null, now: number): number {
  const ms = Number(header) * 1_000 || Date.parse(header ?? "") - now || 0;
  return Math.min(Math.max(ms, 0), 3_600_000);
}
