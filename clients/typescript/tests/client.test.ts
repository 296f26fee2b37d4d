import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type Client, createClient, type FeedbackEvent, type Options } from "../src/index.js";
import { MemoryStorage, Service, taken, until } from "./support.js";

const HELLO = { kblock_id: "hello", action: "engage" } as const;
const MINUTE = 60_000;

let now: number;
let service: Service;
let storage: MemoryStorage;
let clients: Client[];
let given: { events: FeedbackEvent[]; problem: unknown }[];

beforeEach(async () => {
  now = Date.UTC(2026, 0, 1);
  service = await new Service().start();
  storage = new MemoryStorage();
  clients = [];
  given = [];
});
afterEach(async () => {
  await service.stop();
  await Promise.all(clients.map((client) => client.close()));
});

function open(options: Partial<Options> = {}): Client {
  const client = createClient({
    userId: "ada",
    baseUrl: service.url,
    storage,
    now: () => now,
    retryMs: 4,
    onGiveUp: (events, problem) => given.push({ events, problem }),
    ...options,
  });
  clients.push(client);
  return client;
}

/** The storage after a crash of the browser: no client was closed, and none runs. */
function crashed(): MemoryStorage {
  const left = new MemoryStorage();
  for (let at = 0; at < storage.length; at++) left.setItem(storage.key(at)!, storage.getItem(storage.key(at)!)!);
  return left;
}

test("an event is recorded with everything that makes it safe to repeat", async () => {
  const client = open({ sessionId: "s-1", apiKey: "k2" });
  const recorded = client.record({ ...HELLO, metadata: { from: "menu" }, request_id: "r", position: 3 });
  assert.equal(client.pending, 1);
  const answer = await recorded;
  assert.equal(client.pending, 0);
  const [request] = service.requests;
  assert.equal(request!.url, "/api/feed/feedback/record");
  assert.equal(request!.headers["x-api-key"], "k2");
  assert.equal(request!.headers["content-type"], "application/json");
  assert.deepEqual(request!.body, {
    ...HELLO,
    user_id: "ada",
    session_id: "s-1",
    metadata: { from: "menu" },
    request_id: "r",
    position: 3,
    interaction_id: answer.interaction_id,
    occurred_at: "2026-01-01T00:00:00.000Z",
    sent_at: "2026-01-01T00:00:00.000Z",
  });
  assert.equal(storage.length, 0);
});

test("a token is sent in place of the key", async () => {
  await open({ apiKey: "k2", userToken: "t.o.k" }).record(HELLO);
  const [request] = service.requests;
  assert.equal(request!.headers.authorization, "Bearer t.o.k");
  assert.equal(request!.headers["x-api-key"], undefined);
});

test("a function is asked for the token of each request; without one, the key is sent", async () => {
  const tokens = ["t.1.k", Promise.resolve("t.2.k"), null];
  const client = open({ apiKey: "k2", userToken: () => tokens.shift() });
  await client.record(HELLO);
  await client.batch([HELLO]);
  await client.undismiss("hello");
  const sent = service.requests.map(({ headers }) => [headers.authorization, headers["x-api-key"]]);
  assert.deepEqual(sent, [["Bearer t.1.k", undefined], ["Bearer t.2.k", undefined], [undefined, "k2"]]);
});

test("a refused token is replaced once; the same token again is refused for good", async () => {
  const tokens = ["t.old.k", "t.new.k"];
  const client = open({ userToken: async () => tokens.shift() ?? "t.new.k" });
  service.replies = [{ status: 401, body: { detail: "The user token has expired." } }];
  await client.record(HELLO);
  assert.deepEqual(
    service.requests.map(({ headers }) => headers.authorization),
    ["Bearer t.old.k", "Bearer t.new.k"],
  );
  assert.equal(new Set(service.ids).size, 1);
  const problem = { detail: "The user token has expired." };
  service.replies = [{ status: 401, body: problem }];
  await assert.rejects(client.record(HELLO), problem);
  assert.equal(service.requests.length, 3);
  assert.deepEqual(given.map((each) => each.problem), [problem]);
});

test("a page that fails to get a token is asked again, and nothing is lost", async () => {
  let calls = 0;
  const client = open({
    userToken() {
      if (++calls < 3) throw new Error("the session server is away");
      return "t.o.k";
    },
  });
  await client.record(HELLO);
  assert.equal(calls, 3);
  assert.equal(service.requests.length, 1);
  assert.deepEqual(given, []);
});

test("unsent events with a token wait for their own reader", async () => {
  await service.stop();
  const ada = open({ userToken: "t.ada.k" });
  ada.record(HELLO).catch(() => undefined);
  await ada.close();
  await service.start();
  const others = [open({ userId: "bob", userToken: "t.bob.k" }), open({ userId: "bob" })];
  await Promise.all(others.map((client) => client.record(HELLO)));
  assert.deepEqual(service.events.map((event) => event.user_id), ["bob", "bob"]);
  await open({ userToken: "t.ada.k" }).flush();
  const last = service.requests.at(-1)!;
  assert.equal(last.headers.authorization, "Bearer t.ada.k");
  assert.equal(service.events.at(-1)!.user_id, "ada");
});

test("routes elsewhere are found", async () => {
  await open({ baseUrl: `${service.url}/`, prefix: "/feedback/v1" }).record(HELLO);
  assert.equal(service.requests[0]!.url, "/feedback/v1/feed/feedback/record");
});

test("what is recorded in one go is sent in one", async () => {
  const client = open();
  const answers = await Promise.all([client.record(HELLO), client.record(HELLO), client.record(HELLO)]);
  assert.equal(service.requests.length, 1);
  assert.deepEqual(answers.map((answer) => answer.interaction_id), service.ids);
});

test("what fails is sent again, the same but for the time of sending", async () => {
  service.replies = [
    () => ((now += 1_000), { status: 500, body: "a fault" }),
    () => ((now += 1_000), { status: 429 }),
    () => ((now += 1_000), { body: "<html>Sign in to the hotel's network</html>" }),
    () => ((now += 1_000), { body: { signed: "out" } }),
  ];
  await open().record(HELLO);
  const sent = service.events.map((event) => event.sent_at!.slice(17, 19));
  assert.deepEqual(sent, ["00", "01", "02", "03", "04"]);
  assert.equal(new Set(service.ids).size, 1);
  assert.equal(new Set(service.events.map((event) => event.occurred_at)).size, 1);
});

test("a service that is away gets everything when it is back, once", async () => {
  await service.stop();
  const client = open();
  const recorded = Array.from({ length: 20 }, () => client.record(HELLO));
  await service.start();
  await Promise.all(recorded);
  assert.equal(service.ids.length, 20);
  assert.equal(new Set(service.ids).size, 20);
});

test("a service that asks to wait is asked no sooner", async () => {
  service.replies = [{ status: 503, headers: { "Retry-After": "100" } }];
  let answered = 0;
  const client = open({
    fetch: async (...given) => {
      const answer = await fetch(...given);
      answered++;
      return answer;
    },
  });
  void client.record(HELLO);
  await until(() => answered === 1);
  now += 99_000;
  void client.flush();
  void client.record(HELLO);
  await fetch(service.url); // a request of the client would have arrived earlier
  assert.equal(service.ids.length, 1);
  now += 1_000;
  await client.flush();
  assert.equal(service.ids.length, 3);
});

test("what is refused is given up, politely", async () => {
  const problem = { status: 422, detail: "kblock_id: must not be blank" };
  service.replies = [{ status: 422, body: problem }];
  const client = open({
    onGiveUp(events) {
      given.push({ events, problem });
      throw new Error("a fault of the page");
    },
  });
  const complaints: unknown[] = [];
  const { error } = console;
  console.error = (...said) => complaints.push(...said);
  const refused = client.record({ ...HELLO, kblock_id: " " });
  await client.flush(); // an unhandled rejection would fail this run
  console.error = error;
  await assert.rejects(refused, problem);
  assert.deepEqual(given.map(({ events }) => events[0]!.kblock_id), [" "]);
  assert.match(String(complaints[0]), /a fault of the page/);
  assert.deepEqual([client.pending, storage.length], [0, 0]);

  await client.record(HELLO);
});

test("a refusal that is no JSON has at least its status", async () => {
  service.replies = [{ status: 403, body: "Forbidden" }];
  await assert.rejects(open().record(HELLO), { status: 403, title: "Forbidden" });
});

test("an event that is no JSON harms no other", async () => {
  const client = open();
  await assert.rejects(client.record({ ...HELLO, metadata: { count: 1n } }), TypeError);
  await client.record(HELLO);
});

test("what the page changes later changes nothing that was recorded", async () => {
  service.replies = [{ status: 500 }];
  const metadata: Record<string, unknown> = { step: 1 };
  const recorded = open().record({ ...HELLO, metadata });
  metadata["step"] = 2;
  await recorded;
  assert.deepEqual(service.events.map((event) => event.metadata), [{ step: 1 }, { step: 1 }]);
});

test("a batch says what became of each event", async () => {
  service.replies = [
    { body: { accepted: 1, duplicates: 1, rejected: [{ index: 1, error: "action: no such" }] } },
  ];
  const events = ["a", "b", "c"].map((kblock_id) => ({ ...HELLO, kblock_id }));
  const answer = await open().batch(events);
  assert.deepEqual(answer, {
    accepted: 1,
    duplicates: 1,
    rejected: [{ index: 1, error: "action: no such" }],
  });
  assert.deepEqual(
    given.map(({ events, problem }) => [events[0]!.kblock_id, problem]),
    [["b", { detail: "action: no such" }]],
  );
});

test("a batch that is refused as a whole says so of each event", async () => {
  service.replies = [{ status: 401, body: { status: 401, detail: "This needs a key" } }];
  const answer = await open().batch([HELLO, HELLO]);
  assert.deepEqual(answer.rejected.map((each) => each.error), ["This needs a key", "This needs a key"]);
  assert.deepEqual(await open().batch([]), { accepted: 0, duplicates: 0, rejected: [] });
});

test("large batches go in parts that the service takes, and indices stay", async () => {
  const client = open();
  service.replies = [
    taken,
    taken,
    ({ body }) => ({
      body: { accepted: body.events!.length - 1, duplicates: 0, rejected: [{ index: 0, error: "no" }] },
    }),
  ];
  const events = Array.from({ length: 1_500 }, () => ({ ...HELLO, metadata: { text: "é".repeat(50) } }));
  const single = client.record(HELLO);
  const answer = await client.batch(events);
  await single;
  const sizes = service.requests.map(({ body }) => body.events?.length ?? 1);
  assert.equal(sizes.reduce((sum, size) => sum + size), 1_501);
  assert.ok(service.requests.every((request) => request.bytes <= 64 * 1024));
  assert.ok(service.requests.slice(1, -1).every((request) => request.bytes > 63 * 1024));
  assert.equal(answer.accepted + answer.rejected.length, 1_500);
  assert.deepEqual(answer.rejected.map((each) => each.index), [sizes[1]]);
  assert.equal(new Set(service.ids).size, 1_501);
});

test("at most a thousand events go in one request", async () => {
  const client = open({ userId: "a" });
  // Ids and times are most of an event, so these events are short.
  await client.batch(Array.from({ length: 2_500 }, () => ({ kblock_id: "k", action: "view" })));
  assert.ok(service.requests.every(({ body }) => body.events!.length <= 1_000));
  assert.equal(service.ids.length, 2_500);
});

test("what was not sent is sent on the next visit, with the same ids", async () => {
  service.replies = Array(1_000).fill({ status: 503 });
  const before = open({ sessionId: "monday" });
  void before.record(HELLO);
  void before.batch([HELLO, HELLO]);
  await until(() => service.requests.length > 2);
  const left = crashed();
  const early = open({ storage: left });
  assert.equal(early.pending, 0); // the other tab does not count as closed yet
  now += 6 * MINUTE;

  service.replies = [];
  service.requests = [];
  const after = open({ storage: left });
  assert.equal(after.pending, 3);
  await after.flush();
  assert.equal(new Set(service.ids).size, 3);
  assert.deepEqual(service.events.map((event) => event.session_id), ["monday", "monday", "monday"]);
  assert.deepEqual(service.events.map((event) => event.occurred_at), Array(3).fill("2026-01-01T00:00:00.000Z"));
  assert.equal(left.length, 0);
});

test("a client that is closed leaves what it could not send, at once", async () => {
  await service.stop();
  const client = open();
  const recorded = client.record(HELLO);
  const several = client.batch([HELLO]);
  await client.close();
  await assert.rejects(recorded, /kept for the next visit/);
  await assert.rejects(several, /kept for the next visit/);
  await assert.rejects(client.record(HELLO), /closed/);
  await assert.rejects(client.undismiss("hello"), /closed/);
  await service.start();
  const next = open();
  assert.equal(next.pending, 2);
  await next.flush();
  assert.equal(new Set(service.ids).size, 2);
});

test("closing sends what waits", async () => {
  const client = open();
  const recorded = client.record(HELLO);
  await client.close();
  await recorded;
  assert.equal(service.ids.length, 1);
});

test("clients of other services, and other programs, keep their own", async () => {
  await service.stop();
  storage.setItem("theirs", "1");
  storage.setItem("harken http://127.0.0.1:9 0", '{"at": 0, "events": [{"action": "view"}]}');
  const client = open();
  void client.record(HELLO);
  await client.close();
  assert.equal(storage.length, 3);
});

test("an entry that cannot be read is passed over", async () => {
  storage.setItem(`harken ${service.url} 0`, "{half of it");
  const client = open();
  assert.deepEqual([client.pending, storage.length], [0, 0]);
  await client.record(HELLO);
});

test("without room or leave to store, events are sent all the same", async () => {
  storage.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  await open().record(HELLO);
  assert.equal(service.ids.length, 1);
});

test("a dismissal is undone after it arrived", async () => {
  service.replies = [{ status: 503 }, { status: 503 }];
  const client = open();
  void client.record({ kblock_id: "a/b?", action: "dismiss" });
  await client.undismiss("a/b?");
  const calls = service.requests.map((request) => `${request.method} ${request.url}`);
  assert.deepEqual(calls.slice(-2), [
    "POST /api/feed/feedback/record",
    "DELETE /api/feed/dismissals/a%2Fb%3F?user_id=ada",
  ]);
});

test("undoing is repeated until it is answered", async () => {
  const client = open();
  service.replies = [{ status: 503 }, { body: "<html>" }, { status: 404 }];
  await client.undismiss("hello");
  assert.equal(service.requests.length, 3);
  service.replies = [{ status: 422, body: { detail: "user_id: is required" } }];
  await assert.rejects(client.undismiss("hello"), { detail: "user_id: is required" });
});

test("outside of a browser, observing does nothing", () => {
  const stop = open().observe({} as Element, "hello");
  stop();
});
