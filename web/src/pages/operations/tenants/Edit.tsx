import { SimpleGrid, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { asked, isNumber, NUMBERS, pathOf, wishOf, type Tenant } from "./wish";

/** A new tenant, or another's title and quotas. The limit of its work is asked for: lists don't have it. */
export function Edit({ of, close, done }: { of?: Tenant; close: () => void; done: () => Promise<unknown> }) {
  const t = useText();
  const whole = useQuery({ queryKey: ["/tenants", "one", of?.name], enabled: Boolean(of), gcTime: 0, queryFn: ({ signal }) => get(pathOf(of!.name), {}, signal) });
  const [wish, setWish] = useState(wishOf(of));
  useEffect(() => {
    if (whole.data) setWish(wishOf(whole.data as Tenant));
  }, [whole.data]);
  const set = (more: Partial<typeof wish>) => setWish((was) => ({ ...was, ...more }));
  const good = NUMBERS.every((k) => isNumber(wish[k])) && (Boolean(of) || /^[^/*\u0000-\u001f\u007f]{1,200}$/.test(wish.name)) && (!of || whole.isSuccess);
  return (
    <Ask
      title={t(of ? "tenants.change" : "tenants.make")}
      what={t(of ? "tenants.change.what" : "tenants.make.what", { name: wish.name })}
      ready={good}
      close={close}
      go={async (reason) => {
        const body = { ...asked(wish, whole.data as Tenant | undefined), reason };
        if (of) await send("PATCH", pathOf(of.name), body);
        else await send("POST", "/tenants", { ...body, name: wish.name });
        await done();
      }}
    >
      {!of && <TextInput label={t("signin.name")} description={t("tenants.name.hint")} value={wish.name} maxLength={200} onChange={(e) => set({ name: e.currentTarget.value })} data-autofocus />}
      <TextInput label={t("tenants.title")} value={wish.title} maxLength={200} onChange={(e) => set({ title: e.currentTarget.value })} />
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xs">
        {NUMBERS.map((k) => (
          <TextInput key={k} label={t(`tenants.quota.${k}`)} placeholder={t("tenants.quota.none")} inputMode="numeric" value={wish[k]} error={isNumber(wish[k]) ? undefined : t("tenants.quota.wrong")} onChange={(e) => set({ [k]: e.currentTarget.value.trim() })} />
        ))}
      </SimpleGrid>
    </Ask>
  );
}
