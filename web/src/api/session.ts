import { ApiError, get, send } from "./client";
import { gone, told, type Me } from "./who";

/** Ask the server who we are. A server that can't say it now is asked again by the pages themselves. */
export async function whoAmI(): Promise<void> {
  try {
    told(await get("/me"));
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) told(null);
    else throw e;
  }
}

/** Browsers have passkeys for names, over https or on this machine. */
export const possible = () => typeof PublicKeyCredential !== "undefined" && "parseRequestOptionsFromJSON" in PublicKeyCredential && !/^[\d.]+$|^\[/.test(location.hostname);

let first: Promise<void> | undefined;
/** The first question, asked before there is anything on the screen. */
export const whoAmIAtStart = () => (first ??= whoAmI());

/** Sign in, and look whether the browser has kept the session: over plain HTTP to another machine it doesn't. */
export async function begun(asked: Promise<Me>): Promise<void> {
  await asked;
  try {
    told(await get("/me"));
  } catch (e) {
    throw e instanceof ApiError && e.status === 401 ? new ApiError(401, { status: 401, code: "NO_COOKIE" }) : e;
  }
}

export const signIn = (name: string, password: string) => begun(send("POST", "/session", { name, password }));
export const byLink = (link: string, password: string) => begun(send("POST", "/session/link", { link, password }));

/** Issuers at whose page a browser signs in. */
export const issuers = async () => (await get("/session/issuers")).items.filter((i) => i.browser);

/** Whom an issuer has vouched for goes on to be signed out there, too. */
export async function signOut(everywhere: boolean): Promise<void> {
  const { issuer_url } = await send("DELETE", "/session", undefined, { everywhere });
  if (issuer_url) location.assign(issuer_url);
  else gone();
}
