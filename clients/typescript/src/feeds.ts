import { createCredentials } from "./credentials.js";
import { backoff } from "./queue.js";
import type { components, paths } from "./schema.js";
import { again, waits } from "./service.js";
import type { Options } from "./types.js";

type Schemas = components["schemas"];
type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } }
  ? NonNullable<Q>
  : never;

export type FeedPage = Schemas["FeedPageShape"];
export type Item = Schemas["ItemShape"];
export type Ranked = Schemas["RankedShape"];
export type Found = Schemas["FoundShape"];
export type FoundItem = Schemas["FoundItemShape"];
export type PageOptions = Query<"/api/feed/feeds/{feed_id}">;
export type SearchOptions = Omit<Query<"/api/kblocks/search">, "q">;
export type RankOptions = Omit<Partial<Schemas["Candidates"]>, "kblock_ids">;

export interface FeedsOptions extends Pick<Options, "baseUrl" | "prefix" | "apiKey" | "userToken" | "fetch" | "retryMs"> {
  /** The reader of each call that names none. */
  userId?: string;
  /** How long a call is sent again until it fails; default: 30,000 ms. */
  patienceMs?: number;
}

export interface Feeds {
  /** A page of a feed. */
  page(feed?: string, options?: PageOptions): Promise<FeedPage>;
  /** All pages of a feed, which fit together. */
  pages(feed?: string, options?: PageOptions): AsyncGenerator<FeedPage, void, void>;
  /** All items of a feed, page by page. */
  items(feed?: string, options?: PageOptions): AsyncGenerator<Item, void, void>;
  /** Rank up to 1,000 K-Blocks of yours. */
  rank(kblockIds: string[], options?: RankOptions): Promise<Ranked>;
  /** A page of the K-Blocks that have certain words. */
  search(query?: string, options?: SearchOptions): Promise<Found>;
  /** All K-Blocks that have certain words, page by page. */
  found(query?: string, options?: SearchOptions): AsyncGenerator<FoundItem, void, void>;
}

/** Feeds with a route of their own; the others are stored feeds, tags and authors. */
const BUILT_IN = [
  "axioms", "coherent", "contradictions", "cosmos", "handwavy", "history", "personal", "saved",
];
const TIMEOUT_MS = 30_000;

/** Create what reads feeds. Calls reject with the problem if they are refused. */
export function createFeeds(options: FeedsOptions): Feeds {
  const { retryMs = 1_000, patienceMs = 30_000, userId } = options;
  const base = (options.baseUrl ?? location.origin).replace(/\/$/, "") + (options.prefix ?? "/api");
  const credentials = createCredentials(options);
  const reader = userId === undefined ? {} : { user_id: userId };

  /** Send a call until it is answered; each may be repeated. */
  async function ask<T extends object>(field: keyof T & string, path: string, body?: object): Promise<T> {
    const giveUpAt = performance.now() + patienceMs;
    for (let failures = 0; ; failures++) {
      let least = 0;
      let cause: unknown;
      let refusal: { problem: unknown } | undefined;
      try {
        const response = await credentials.used((own) =>
          (options.fetch ?? fetch)(base + path, {
            method: body ? "POST" : "GET",
            headers: body ? { "Content-Type": "application/json", ...own } : own,
            body: body ? JSON.stringify(body) : null,
            signal: AbortSignal.timeout?.(TIMEOUT_MS) ?? null,
          }),
        );
        const { ok, status, statusText } = response;
        const answer: unknown = await response.json().catch(() => undefined);
        if (ok && typeof answer === "object" && answer && field in answer) return answer as T;
        if (!ok && !again(status)) refusal = { problem: answer ?? { status, title: statusText } };
        least = waits(response.headers.get("Retry-After"), Date.now());
        cause = answer ?? status;
      } catch (error) {
        cause = error; // no network, a timeout, or no token
      }
      if (refusal) throw refusal.problem;
      const wait = backoff(retryMs, failures, least);
      if (performance.now() + wait > giveUpAt) throw new Error(`${base} does not answer`, { cause });
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  function page(feed = "cosmos", given: PageOptions = {}): Promise<FeedPage> {
    const path = BUILT_IN.includes(feed) ? `/feed/${feed}` : `/feed/feeds/${encodeURIComponent(feed)}`;
    return ask("next_cursor", path + query({ ...reader, ...given }));
  }

  async function* pages(feed?: string, given: PageOptions = {}): AsyncGenerator<FeedPage, void, void> {
    const { user_id, limit } = given;
    for (let next: PageOptions | undefined = given; next; ) {
      const found: FeedPage = await page(feed, next);
      yield found;
      // A cursor has the options of the first page, but for these two.
      const cursor = found.next_cursor;
      next = cursor === null ? undefined : { cursor, ...kept({ user_id, limit }) };
    }
  }

  function search(q = "", given: SearchOptions = {}): Promise<Found> {
    return ask("items", `/kblocks/search${query({ ...reader, ...given, q })}`);
  }

  return {
    page,
    pages,
    async *items(feed, given) {
      for await (const found of pages(feed, given)) yield* found.items;
    },
    rank: (kblock_ids, given = {}) =>
      ask("request_id", "/feed/rank", { ...reader, ...given, kblock_ids }),
    search,
    async *found(q, given = {}) {
      for (let cursor: string | null | undefined = given.cursor; cursor !== null; ) {
        const found: Found = await search(q, { ...given, ...kept({ cursor }) });
        yield* found.items;
        cursor = found.next_cursor;
      }
    },
  };
}

/** The members that have a value. */
function kept<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}

function query(values: object): string {
  const pairs = Object.entries(kept(values)).map(([name, value]) => [name, String(value)]);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}
