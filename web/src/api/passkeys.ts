/** Passkeys in the browser: made, shown to sign in, shown for a request that takes a fresh proof. Loaded when one is needed. */
import { ApiError, send } from "./client";
import { begun, possible } from "./session";
import type { Problem } from "./types";

type Options = Record<string, unknown>;

/** What an authenticator answers, as JSON. Raises what the browser says: nobody has shown one. */
async function shown(options: Options): Promise<Record<string, unknown>> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as unknown as PublicKeyCredentialRequestOptionsJSON);
  const found = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
  return found.toJSON() as unknown as Record<string, unknown>;
}

/** A new passkey of one's own. `password`: of who has none yet. */
export async function add(title: string, password: string): Promise<void> {
  const { id, public_key } = await send("POST", "/me/passkeys/options", { password });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key as unknown as PublicKeyCredentialCreationOptionsJSON);
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
  await send("POST", "/me/passkeys", { id, title, credential: made.toJSON() as unknown as Record<string, unknown> });
}

export async function signIn(): Promise<void> {
  const { id, public_key } = await send("POST", "/session/passkeys");
  const credential = await shown(public_key);
  await begun(send("POST", "/session/passkey", { id, credential }));
}

export async function prove(id: string, options: Options): Promise<void> {
  await send("POST", `/step-ups/${id}`, { credential: await shown(options) });
}

/** The server wants it shown by a passkey: done so, the id to ask again with. Nothing: it isn't that, or can't be done here. */
export async function stepUp(problem: Problem): Promise<string | undefined> {
  const asked = (problem as Problem & { step_up?: { id: string; public_key?: Options } }).step_up;
  if (problem.code !== "STEP_UP_NEEDED" || !asked?.public_key || !possible()) return undefined;
  try {
    await prove(asked.id, asked.public_key);
  } catch (e) {
    if (e instanceof ApiError) throw e;
    throw new ApiError(403, { ...problem, code: "STEP_UP_CANCELLED", detail: `Nothing was done: it takes your passkey, and none was shown (${e instanceof Error ? e.message : String(e)})` });
  }
  return asked.id;
}
