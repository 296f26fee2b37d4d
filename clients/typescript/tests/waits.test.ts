import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../src/clock.js";
import { backoff } from "../src/queue.js";
import { waits } from "../src/service.js";
import "./support.js";

test("Retry-After is read in seconds and as a date, and bounded", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(waits(null, now), 0);
  assert.equal(waits("", now), 0);
  assert.equal(waits("2", now), 2_000);
  assert.equal(waits("Thu, 01 Jan 2026 00:00:05 GMT", now), 5_000);
  assert.equal(waits("Wed, 31 Dec 2025 00:00:00 GMT", now), 0);
  assert.equal(waits("999999999", now), 3_600_000);
  assert.equal(waits("soon", now), 0);
});

test("waits double up to a minute, with chance in them, and are never shorter than asked for", () => {
  for (let failures = 0; failures < 40; failures++) {
    const most = Math.min(60_000, 1_000 * 2 ** failures);
    const drawn = Array.from({ length: 50 }, () => backoff(1_000, failures, 0));
    assert.ok(drawn.every((ms) => ms >= most / 2 && ms <= most));
    assert.ok(new Set(drawn).size > 1);
  }
  assert.equal(backoff(1_000, 0, 7_000), 7_000);
});

test("ids are short, in the order of their times, and nobody else's", () => {
  const ids = Array.from({ length: 1_000 }, (_, at) => newId(1_800_000_000_000 + at));
  assert.equal(new Set(ids).size, 1_000);
  assert.deepEqual([...ids].sort(), ids);
  assert.ok(ids.every((id) => /^[0-9a-f]{32}$/.test(id)));
  assert.notEqual(newId(0), newId(0));
});
