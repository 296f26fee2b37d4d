import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createFeeds, type Feeds, type FeedsOptions } from "../src/feeds.js";
import { Service } from "./support.js";

let service: Service;
beforeEach(async () => (service = await new Service().start()));
afterEach(() => service.stop());

function open(options: Partial<FeedsOptions> = {}): Feeds {
  return createFeeds({ baseUrl: service.url, userId: "ada", retryMs: 4, ...options });
}

const page = (ids: string[], next_cursor: string | null) => ({
  body: { items: ids.map((id) => ({ id })), next_cursor, request_id: "r" },
});

test("a page has the options of REST, and the reader", async () => {
  service.replies = [page(["a"], null), page([], null)];
  const found = await open({ apiKey: "k" }).page("personal", { limit: 5, explain: true });
  assert.deepEqual(found.items.map((item) => item.id), ["a"]);
  assert.equal(service.requests[0]!.url, "/api/feed/personal?user_id=ada&limit=5&explain=true");
  assert.equal(service.requests[0]!.headers["x-api-key"], "k");
  await open({ prefix: "/feedback" }).page("tag:a/b", { user_id: "bob" });
  assert.equal(service.requests[1]!.url, "/feedback/feed/feeds/tag%3Aa%2Fb?user_id=bob");
});

test("pages follow each other by their cursors", async () => {
  service.replies = [page(["a", "b"], "c1"), { status: 503 }, page(["c"], "c2"), page([], null)];
  const ids = [];
  for await (const item of open().items("cosmos", { limit: 2, ranking: "popularity" })) ids.push(item.id);
  assert.deepEqual(ids, ["a", "b", "c"]);
  const again = "/api/feed/cosmos?user_id=ada&cursor=c1&limit=2";
  assert.deepEqual(service.requests.map((request) => request.url), [
    "/api/feed/cosmos?user_id=ada&limit=2&ranking=popularity",
    again,
    again,
    "/api/feed/cosmos?user_id=ada&cursor=c2&limit=2",
  ]);
});

test("what fails is sent again, and what is refused is not", async () => {
  service.replies = [
    { status: 500, body: "a fault" },
    { status: 429 },
    { body: "<html>Sign in to the hotel's network</html>" },
    { body: { signed: "out" } },
    { body: { items: [], request_id: "r" } },
    { status: 422, body: { detail: "ranking: is unknown" } },
    { status: 403, body: "Forbidden" },
  ];
  await open().rank(["a"], { ranking: "attention" });
  assert.deepEqual(service.requests[4]!.body, { user_id: "ada", ranking: "attention", kblock_ids: ["a"] });
  await assert.rejects(open().rank(["a"]), { detail: "ranking: is unknown" });
  await assert.rejects(open().page(), { status: 403, title: "Forbidden" });
  assert.equal(service.requests.length, 7);
});

test("a service that stays away is given up", async () => {
  await service.stop();
  await assert.rejects(open({ patienceMs: 20 }).page(), /does not answer/);
  service.replies = [];
  await service.start();
  service.replies = [{ status: 503, headers: { "Retry-After": "100" } }];
  await assert.rejects(open({ patienceMs: 1_000 }).page(), /does not answer/);
  assert.equal(service.requests.length, 1);
});

test("a search goes on to its end", async () => {
  service.replies = [page(["a"], "c1"), page(["b"], null)];
  const ids = [];
  for await (const item of open().found("git hooks", { tag: "x" })) ids.push(item.id);
  assert.deepEqual(ids, ["a", "b"]);
  assert.deepEqual(service.requests.map((request) => request.url), [
    "/api/kblocks/search?user_id=ada&tag=x&q=git+hooks",
    "/api/kblocks/search?user_id=ada&tag=x&cursor=c1&q=git+hooks",
  ]);
});

test("a refused token is replaced once", async () => {
  const tokens = ["t.old.k", "t.new.k"];
  service.replies = [{ status: 401 }, page([], null)];
  await open({ userToken: async () => tokens.shift() }).page();
  const sent = service.requests.map(({ headers }) => headers.authorization);
  assert.deepEqual(sent, ["Bearer t.old.k", "Bearer t.new.k"]);
});
