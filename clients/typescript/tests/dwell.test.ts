import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { createDwell, type Dwell, type View } from "../src/dwell.js";
import "./support.js";

const START = Date.UTC(2026, 0, 1);
const CARD = { kblockId: "hello" };

let now: number;
let ended: View[];
let dwell: Dwell;

beforeEach(() => {
  now = 0;
  ended = [];
  const clock = { steady: () => now, wall: () => START + now };
  dwell = createDwell(clock, 60_000, 30_000, (view) => ended.push(view));
});

const dwells = (): number[] => ended.map((view) => view.dwell);
const lasting = (): number[] => dwell.views().map((view) => view.dwell);

/** Advance the time as a browser does: `update` runs when `next` says, and on every event. */
function pass(ms: number): void {
  for (const until = now + ms; now < until; dwell.update()) {
    now = Math.min(until, now + Math.max(1, Math.ceil(dwell.next())));
  }
}
function see(card = CARD, by: unknown = card): void {
  dwell.seen(card, by, true);
}
function leave(card = CARD, by: unknown = card): void {
  dwell.seen(card, by, false);
}
/** Read for this long, with regular input. */
function read(ms: number): void {
  for (let left = ms; left > 0; left -= 500) {
    dwell.active();
    pass(Math.min(left, 500));
  }
}

test("a card counts as viewed after one second, and not before", () => {
  see();
  pass(999);
  assert.deepEqual(lasting(), []);
  pass(1);
  assert.deepEqual(lasting(), [1_000]);
});

test("glances add up to no view, and looks after the first do", () => {
  for (let glance = 0; glance < 5; glance++) {
    see();
    pass(900);
    leave();
    pass(100);
  }
  pass(60_000);
  assert.deepEqual(dwells(), []);

  see();
  read(2_000);
  leave();
  pass(5_000);
  see();
  pass(300);
  leave();
  pass(30_000);
  assert.deepEqual(dwells(), [2_300]);
});

test("a view begins with its first long look, by the wall's clock", () => {
  pass(7_000);
  see();
  pass(500);
  leave();
  pass(500);
  see();
  read(2_000);
  leave();
  pass(30_000);
  assert.deepEqual(ended.map((view) => view.began), [START + 8_000]);
});

test("a hidden page pauses; after thirty seconds it ends the view, and the next look is another", () => {
  see();
  read(3_000);
  dwell.shown(false);
  pass(29_999);
  dwell.shown(true);
  dwell.active();
  read(2_000);
  assert.deepEqual([dwells(), lasting()], [[], [5_000]]);

  dwell.shown(false);
  pass(30_000);
  assert.deepEqual([dwells(), lasting()], [[5_000], []]);
  pass(3_600_000);

  dwell.shown(true);
  dwell.active();
  read(1_500);
  dwell.end();
  assert.deepEqual(dwells(), [5_000, 1_500]);
  assert.notEqual(ended[0]!.id, ended[1]!.id);
});

test("a view ends while no timer runs, as in a frozen page", () => {
  see();
  read(3_000);
  dwell.shown(false);
  now += 8 * 3_600_000;
  dwell.shown(true);
  dwell.active();
  assert.deepEqual([dwells(), lasting()], [[3_000], []]);
});

test("a card that is scrolled away and back is viewed once, within thirty seconds", () => {
  see();
  read(2_000);
  leave();
  pass(29_000);
  see();
  read(2_000);
  leave();
  pass(30_000);
  assert.deepEqual(dwells(), [4_000]);
});

test("another element with the same card goes on with its view, and counts no time twice", () => {
  see(CARD, "in the list");
  read(2_000);
  see(CARD, "opened");
  read(2_000);
  leave(CARD, "in the list");
  read(2_000);
  dwell.end();
  assert.deepEqual(dwells(), [6_000]);
});

test("the same card in two places has two views", () => {
  see({ ...CARD, position: 1 } as typeof CARD);
  see({ ...CARD, position: 7 } as typeof CARD);
  read(2_000);
  dwell.end();
  assert.deepEqual(dwells(), [2_000, 2_000]);
});

test("a reader who does nothing for a minute is away, and the view goes on when they are back", () => {
  see();
  pass(3_600_000);
  assert.deepEqual([dwells(), lasting()], [[], [60_000]]);
  dwell.active();
  read(5_000);
  dwell.end();
  assert.deepEqual(dwells(), [65_000]);
});

test("a closed lid is no reading", () => {
  see();
  read(5_000);
  now += 8 * 3_600_000;
  dwell.active();
  read(1_000);
  dwell.end();
  // The last input was half a second earlier.
  assert.deepEqual(dwells(), [5_000 + 59_500 + 1_000]);
});

test("flushing ends the views of cards out of sight alone", () => {
  const other = { kblockId: "world" };
  see();
  see(other);
  read(2_000);
  leave(other);
  dwell.end(true);
  assert.deepEqual(ended.map((view) => view.card), [other]);
  assert.deepEqual(lasting(), [2_000]);
});

test("there is nothing to wait for where nothing is looked at", () => {
  assert.equal(dwell.next(), Infinity);
  see();
  assert.equal(dwell.next(), 1_000);
  pass(1_000);
  assert.equal(dwell.next(), 59_000);
  leave();
  assert.equal(dwell.next(), 30_000);
  pass(30_000);
  assert.equal(dwell.next(), Infinity);
});
