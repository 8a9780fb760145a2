import "swagger-ui-dist/swagger-ui.css";
import "./api.css";
import { Anchor } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
// @ts-expect-error the package has no types
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import { getText } from "~/api/client";
import { proof } from "~/api/me";
import { useText } from "~/i18n";
import { Answer, PageHead } from "~/shared/states";

/** Our OpenAPI, to read and to try; requests go to this server under the name one acts under. */
export function ApiPage() {
  const t = useText();
  const q = useQuery({ queryKey: ["openapi"], staleTime: Number.POSITIVE_INFINITY, queryFn: async ({ signal }) => JSON.parse(await getText("/openapi.json", signal)) as object });
  return (
    <>
      <PageHead title={t("nav.api")}>
        {t("api.what")}{" "}
        <Anchor href="/v1/openapi.json" size="sm" underline="always">
          openapi.json
        </Anchor>
      </PageHead>
      <Answer of={q}>{(spec) => <Shown spec={spec} />}</Answer>
    </>
  );
}

function Shown({ spec }: { spec: object }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const node = box.current!;
    SwaggerUI({
      domNode: node,
      spec,
      docExpansion: "none",
      deepLinking: false,
      validatorUrl: null,
      tryItOutEnabled: true,
      defaultModelsExpandDepth: -1,
      requestInterceptor: (request: { headers: Record<string, string> }) => {
        Object.assign(request.headers, proof());
        return request;
      },
    });
    return () => node.replaceChildren();
  }, [spec]);
  return <div ref={box} className="fl-api" lang="en" />;
}
