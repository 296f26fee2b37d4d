import { webcrypto } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { FeedbackEvent } from "../src/index.js";

// Node.js 18 has no global `crypto`.
globalThis.crypto ??= webcrypto as Crypto;

export interface Request {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  bytes: number;
  body: FeedbackEvent & { events?: FeedbackEvent[] };
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** An HTTP server on loopback. It answers with `replies`, then accepts all events. */
export class Service {
  requests: Request[] = [];
  replies: (Reply | ((request: Request) => Reply))[] = [];
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** All received events, including repeated ones. */
  get events(): FeedbackEvent[] {
    return this.requests.flatMap(({ body }) => body.events ?? (body.action ? [body] : []));
  }

  get ids(): string[] {
    return this.events.map((event) => event.interaction_id);
  }

  /** Start the server; after a stop, it uses the same port again. */
  async start(): Promise<this> {
    const server = createServer(async (message, response) => {
      const parts: Buffer[] = [];
      for await (const part of message) parts.push(part as Buffer);
      const text = Buffer.concat(parts);
      const request: Request = {
        method: message.method!,
        url: message.url!,
        headers: message.headers,
        bytes: text.length,
        body: text.length ? JSON.parse(text.toString()) : {},
      };
      this.requests.push(request);
      const next = this.replies.shift() ?? taken;
      const reply = typeof next === "function" ? next(request) : next;
      response.writeHead(reply.status ?? 200, reply.headers);
      response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => (this.server ? this.server.close(resolve) : resolve(undefined)));
    this.server = undefined;
  }
}

export function taken({ method, body }: Request): Reply {
  if (method === "DELETE") return { body: { success: true } };
  if (body.events) return { body: { accepted: body.events.length, duplicates: 0, rejected: [] } };
  return { body: { success: true, interaction_id: body.interaction_id } };
}

/** A `Storage` in memory. */
export class MemoryStorage implements Storage {
  [name: string]: unknown;
  private items = new Map<string, string>();

  get length(): number {
    return this.items.size;
  }
  key(index: number): string | null {
    return [...this.items.keys()][index] ?? null;
  }
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
  clear(): void {
    this.items.clear();
  }
}

/** Wait until a condition holds. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
