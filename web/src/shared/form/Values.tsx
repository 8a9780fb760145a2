import { Alert, JsonInput, Text } from "@mantine/core";
import { lazy, Suspense, useRef, useState, type RefObject } from "react";
import { useText } from "~/i18n";
import { Failed, Waiting } from "~/shared/states";
import type { FormHandle } from "./FormView";
import { useSchema, type FormRef } from "./schema";

const FormView = lazy(() => import("./FormView"));

/** Asks for values: by the form when there is one, else as JSON. `take` of the handle is null while something is wrong with them. */
export interface ValuesHandle {
  take: () => Record<string, unknown> | null;
}

interface Props {
  form: FormRef | undefined;
  definition: string | undefined;
  data: Record<string, unknown>;
  /** what is shown as JSON at first when there is no form */
  plain?: Record<string, unknown>;
  handle: RefObject<ValuesHandle | null>;
  onChange?: (data: Record<string, unknown>) => void;
  label: string;
  autoFocus?: boolean;
}

export function Values({ form, definition, data, plain = {}, handle, onChange, label, autoFocus }: Props) {
  const t = useText();
  const schema = useSchema(form, definition);
  const inner = useRef<FormHandle>(null);
  const [broken, setBroken] = useState<string>();
  const [text, setText] = useState(() => JSON.stringify(plain, null, 2));
  const [wrong, setWrong] = useState(false);
  if (form && schema.isPending) return <Waiting />;
  if (form && schema.error) return <Failed error={schema.error} again={() => void schema.refetch()} />;
  if (schema.data && !broken) {
    handle.current = { take: () => inner.current?.submit() ?? null };
    return (
      <Suspense fallback={<Waiting />}>
        <FormView schema={schema.data} data={data} handle={inner} onChange={onChange} onFailed={setBroken} />
      </Suspense>
    );
  }
  const parse = (): Record<string, unknown> | null => {
    try {
      const found: unknown = JSON.parse(text.trim() || "{}");
      return found && typeof found === "object" && !Array.isArray(found) ? (found as Record<string, unknown>) : null;
    } catch {
      return null;
    }
  };
  handle.current = {
    take: () => {
      const found = parse();
      setWrong(found === null);
      return found;
    },
  };
  return (
    <>
      {form && (
        <Alert color="yellow" mb="xs" py={6}>
          {broken ? t("form.broken", { why: broken }) : t("form.missing", { id: form.formId ?? form.formKey ?? form.externalReference ?? "" })}
        </Alert>
      )}
      <JsonInput
        label={label}
        value={text}
        onChange={(v) => {
          setText(v);
          setWrong(false);
        }}
        autosize
        minRows={5}
        maxRows={18}
        error={wrong ? t("form.notobject") : undefined}
        validationError={t("form.notobject")}
        data-autofocus={autoFocus || undefined}
      />
      <Text size="xs" c="dimmed" mt={4}>
        {t("form.json.hint")}
      </Text>
    </>
  );
}
