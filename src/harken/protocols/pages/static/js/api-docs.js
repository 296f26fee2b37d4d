/** Swagger UI with the OpenAPI document of this server; requests carry the key, if there is one. */

import { json, key, root } from './http.js';

/** @type {any} the global that Swagger UI's script defines */
const { SwaggerUIBundle } = window;

const dark = matchMedia('(prefers-color-scheme: dark)');
const applyTheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', applyTheme);
applyTheme();

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
