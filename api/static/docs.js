// The documentation page: Swagger UI over this server's own /openapi.json.
//
// The page is served at /docs, its files under /docs/assets/, and every address is relative, so that it works behind a proxy with a
// path prefix too. Nothing is asked from anywhere else: Swagger UI's online validator, its one outside request, is switched off, and
// a server given in the address bar is not followed.
"use strict";

window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#api",
  validatorUrl: null,
  queryConfigEnabled: false,
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  tryItOutEnabled: false,
  persistAuthorization: false,
});
