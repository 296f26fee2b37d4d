export interface Clock {
  /** Milliseconds since 1970. */
  wall(): number;
  /** Milliseconds since an arbitrary time; changes of the system's clock do not affect it. */
  steady(): number;
}

export function createClock(now?: () => number): Clock {
  return { wall: now ?? Date.now, steady: now ?? (() => performance.now()) };
}

export const iso = (ms: number): string => new Date(ms).toISOString();

/** Return a unique id. It begins with the time, so that ids are sorted by time. */
export function newId(wall: number): string {
  // Not randomUUID(), which needs a secure context (TLS).
  const random = crypto.getRandomValues(new Uint8Array(10));
  const digits = Array.from(random, (byte) => byte.toString(16).padStart(2, "0"));
  return Math.trunc(wall).toString(16).padStart(12, "0") + digits.join("");
}
