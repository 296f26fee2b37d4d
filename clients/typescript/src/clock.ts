export interface Clock {
  /** Milliseconds since 1970. */
  wall(): number;
  /** Milliseconds since some moment; never jumps, whatever is done to the system's clock. */
  steady(): number;
}

export function createClock(now?: () => number): Clock {
  return { wall: now ?? Date.now, steady: now ?? (() => performance.now()) };
}

export const iso = (ms: number): string => new Date(ms).toISOString();

/** An id that nobody else makes. It begins with the time, so that ids are stored in their order. */
export function newId(wall: number): string {
  // Not randomUUID(), which pages without TLS do not have.
  const random = crypto.getRandomValues(new Uint8Array(10));
  const digits = Array.from(random, (byte) => byte.toString(16).padStart(2, "0"));
  return Math.trunc(wall).toString(16).padStart(12, "0") + digits.join("");
}
