import { MantineProvider, MantineThemeProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { ApiError } from "~/api/client";
import { useMemo, type ReactNode } from "react";
import { LanguageProvider, useText } from "~/i18n";
import { ahead } from "./ahead";
import { router } from "./router";
import { Door } from "./SignIn";
import { readable, theme } from "./theme";

/** What a server refuses will be refused again; what it can't do now (too much at once, a part away) is tried three times. */
const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      refetchOnWindowFocus: true,
      retry: (count, error) => count < 3 && !(error instanceof ApiError && error.status < 500 && error.status !== 429),
    },
  },
});

ahead();

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;
if (nonce) setNonce(nonce); // for the style element of dialogs that lock scrolling

/** Buttons that are drawn as a cross have a word, in the language that is read. */
function Worded({ children }: { children: ReactNode }) {
  const t = useText();
  const word = t("dialog.close");
  const worded = useMemo(() => {
    const crossed = { defaultProps: { closeButtonProps: { "aria-label": word } } };
    return { components: { Modal: crossed, Notification: crossed } };
  }, [word]);
  return (
    <MantineThemeProvider theme={worded} inherit>
      {children}
    </MantineThemeProvider>
  );
}

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={readable} defaultColorScheme="auto" getStyleNonce={() => nonce ?? ""}>
      <LanguageProvider>
        <Worded>
          <QueryClientProvider client={queries}>
            <Notifications position="bottom-right" />
            <Door>
              <RouterProvider router={router} />
            </Door>
          </QueryClientProvider>
        </Worded>
      </LanguageProvider>
    </MantineProvider>
  );
}
