import type { Options } from "./types.js";

type Headers = Record<string, string>;

/** The longest time that a page may take to return a token. */
const TOKEN_MS = 30_000;

export interface Credentials {
  /** Send a request with a token, or with the key; again if the token was refused and replaced. */
  used(send: (headers: Headers) => Promise<Response>): Promise<Response>;
  /** The headers of a request that cannot wait; undefined while no token is known. */
  last(): Headers | undefined;
}

export function createCredentials({
  apiKey,
  userToken,
}: Pick<Options, "apiKey" | "userToken">): Credentials {
  const key: Headers = apiKey ? { "X-API-Key": apiKey } : {};
  let known = typeof userToken === "function" ? undefined : headers(userToken);

  /** A token says who the reader is, so no key is sent beside it. */
  function headers(token: string | null | undefined): Headers {
    return token ? { Authorization: `Bearer ${token}` } : key;
  }

  async function ask(): Promise<Headers> {
    if (typeof userToken !== "function") return known!;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => (timer = setTimeout(reject, TOKEN_MS)));
    try {
      known = headers(await Promise.race([userToken(), late]));
      return known;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async used(send) {
      const first = await ask();
      const response = await send(first);
      if (response.status !== 401) return response;
      const next = await ask();
      return next.Authorization === first.Authorization ? response : send(next);
    },
    last: () => known,
  };
}
