import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { armOf, assign, position, slot } from "../src/assignment.js";

interface Vector {
  salt: string;
  unit: string;
  position: number;
  slot: number;
  allocation: Record<string, number>;
  arm: string;
}
const file = new URL("../../../tests/vectors/assignment.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Vector[] };

test("positions, slots and arms are those of the service", () => {
  assert.ok(vectors.length > 50);
  for (const each of vectors) {
    assert.equal(position(each.salt, each.unit), each.position, JSON.stringify(each));
    assert.equal(slot(each.salt, each.unit), each.slot, JSON.stringify(each));
    const { salt, unit, allocation, arm } = each;
    assert.equal(armOf(salt, unit, Object.entries(allocation)), arm, JSON.stringify(each));
  }
});

const experiment = {
  id: "x",
  version: 1,
  salt: "x:1",
  layer: "ranking",
  slots: [0, 999],
  allocation: { a: 0.5, b: 0.5 },
  eligibility: { readers: "all" },
};

test("a unit outside the slots, or who is not eligible, is in no arm", () => {
  const own = slot("ranking", "ada");
  assert.ok(["a", "b"].includes(assign(experiment, "ada") ?? ""));
  assert.equal(assign({ ...experiment, slots: [own + 1, 999] }, "ada"), undefined);
  assert.ok(assign({ ...experiment, slots: [own, own] }, "ada"));
  const guests = { ...experiment, eligibility: { readers: "guests" } };
  assert.equal(assign(guests, "ada"), undefined);
  assert.ok(assign(guests, "ada", true));
});

test("an adaptive experiment is refused: the arm is that of the first exposure", () => {
  assert.throws(() => assign({ ...experiment, adaptive: true }, "ada"), /only the service knows/);
  assert.ok(assign({ ...experiment, adaptive: false }, "ada"));
});

test("shares that are rounded to less than 1 leave nobody out", () => {
  assert.equal(armOf("x", "ada", [["a", 0], ["b", 0], ["c", 1e-300]]), "c");
});
