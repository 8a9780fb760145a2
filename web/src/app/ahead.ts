import "~/api/first";
import { router } from "./router";

/** The script of this address' page, asked for while it is found out who looks; its data is on its way already (`api/first.ts`). One after the other each of them waits for the one before. */
export function ahead() {
  void router.preloadRoute({ to: location.pathname } as never).catch(() => undefined);
}
