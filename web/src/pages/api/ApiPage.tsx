import "swagger-ui-dist/swagger-ui.css";
import "./api.css";
import { useEffect, useRef } from "react";
// @ts-expect-error the package has no types
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import { actor } from "~/api/me";
import { useText } from "~/i18n";
import { PageHead } from "~/shared/states";

/** Our OpenAPI, to read and to try; requests go to this server under the name one acts under. */
export function ApiPage() {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const node = box.current!;
    SwaggerUI({
      domNode: node,
      url: "/v1/openapi.json",
      docExpansion: "none",
      deepLinking: false,
      validatorUrl: null,
      tryItOutEnabled: true,
      defaultModelsExpandDepth: -1,
      requestInterceptor: (request: { headers: Record<string, string> }) => {
        const who = actor();
        if (who) request.headers["X-Actor"] = who;
        return request;
      },
    });
    return () => node.replaceChildren();
  }, []);
  return (
    <>
      <PageHead title={t("nav.api")}>
        {t("api.what")} <a href="/v1/openapi.json">openapi.json</a>
      </PageHead>
      <div ref={box} className="fl-api" lang="en" />
    </>
  );
}
