/** Swagger UI over the service's own OpenAPI document, with the key where there is one. */

import { json, key, root } from './http.js';

/** @type {any} what Swagger UI's script leaves behind */
const { SwaggerUIBundle } = window;

const dark = matchMedia('(prefers-color-scheme: dark)');
const suit = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', suit);
suit();

const spec = await json('/openapi.json');
SwaggerUIBundle({
  spec: { ...spec, servers: [{ url: root || '/' }] },
  dom_id: '#operations',
  deepLinking: true,
  validatorUrl: null,
  /** @param {{headers: Record<string, string>}} request */
  requestInterceptor: (request) => {
    const sent = key();
    if (sent !== undefined) request.headers['X-API-Key'] = sent;
    return request;
  },
});
