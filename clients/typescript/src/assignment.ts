import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";

/** The number of slots of a layer. */
export const SLOTS = 1_000;
const WHOLE = 2 ** 64;

/** What an experiment of `GET /api/experiments` says of its assignment. */
export interface Assigned {
  id: string;
  version: number;
  salt: string;
  layer: string;
  /** The first and the last slot. */
  slots: readonly number[];
  /** The share of each arm, in the order of the arms. */
  allocation: Readonly<Record<string, number>>;
  eligibility: { readers?: string };
  /** Whether the allocation changes while it runs; then only the service knows a unit's arm. */
  adaptive?: boolean;
}

/**
 * Return the position of a unit, from 0 to 1: SHA-256 of the UTF-8 of salt, U+001F and unit; its
 * first 8 bytes as a big-endian number, divided by 2^64. The service does the same.
 */
export function position(salt: string, unit: string): number {
  const digest = sha256(utf8ToBytes(`${salt}\u001f${unit}`));
  const head = new DataView(digest.buffer, digest.byteOffset, 8).getBigUint64(0);
  return Number(head) / WHOLE;
}

/** Return the slot of a unit in a layer, from 0 to 999. */
export function slot(layer: string, unit: string): number {
  return Math.min(Math.floor(position(layer, unit) * SLOTS), SLOTS - 1);
}

/** Return the arm of a unit. `allocation` has the share of each arm, in order. */
export function armOf(
  salt: string,
  unit: string,
  allocation: Iterable<readonly [name: string, share: number]>,
): string {
  const at = position(salt, unit);
  let reached = 0;
  let last = "";
  for (const [name, share] of allocation) {
    reached += share;
    if (at < reached) return name;
    if (share > 0) last = name;
  }
  return last; // shares that add up to 1 may be rounded to less
}

/**
 * Return the arm of a reader, or of a guest's session; undefined outside the experiment.
 *
 * An adaptive experiment is refused: a unit keeps the arm of its first exposure, which only the
 * service knows. Evaluate that one there (`POST /ofrep/v1/evaluate/flags/{key}`).
 *
 * Nothing is sent: tell the service with `POST /api/experiments/exposures` when you use the arm.
 */
export function assign(
  experiment: Assigned,
  unit: string,
  isGuest = false,
): string | undefined {
  if (experiment.adaptive)
    throw new Error(`${experiment.id} is adaptive: only the service knows who has which arm`);
  const { readers = "all" } = experiment.eligibility;
  if (readers !== "all" && isGuest !== (readers === "guests")) return undefined;
  const [first = 0, last = SLOTS - 1] = experiment.slots;
  const own = slot(experiment.layer, unit);
  if (own < first || own > last) return undefined;
  return armOf(experiment.salt, unit, Object.entries(experiment.allocation));
}
