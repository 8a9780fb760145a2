import { ActionIcon, Group, SegmentedControl, Slider, Text, Tooltip } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import type { HistoryEvent } from "~/api/types";
import { useText } from "~/i18n";
import { Icon, type IconName } from "~/shared/icons";
import { When } from "~/shared/time";

/** The whole life of an instance: one tick per event of the log. Arrow keys step; play goes on by itself. */
export function TimeSlider({ events, at, onAt }: { events: HistoryEvent[]; at?: string; onAt: (position: string | undefined) => void }) {
  const t = useText();
  const last = events.length - 1;
  const found = at ? events.findIndex((e) => e.id === at) : last;
  const index = found < 0 ? last : found;
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState("2");
  const go = useRef<(n: number) => void>(() => {});
  go.current = (n) => onAt(n >= last ? undefined : events[Math.max(0, n)]?.id);
  const step = useRef(index);
  step.current = index;
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      if (step.current >= last) setPlaying(false);
      else go.current(step.current + 1);
    }, 1000 / Number(speed));
    return () => clearInterval(timer);
  }, [playing, speed, last]);
  if (last < 1) return null;
  const now = events[index];
  const button = (label: string, icon: IconName, to: number, off: boolean) => (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" aria-label={label} disabled={off} onClick={() => go.current(to)}>
        <Icon name={icon} size={15} />
      </ActionIcon>
    </Tooltip>
  );
  const told = (
    <>
      {index + 1}/{last + 1} · {now && t(`event.${now.type}`)} · <When at={now?.time} />
    </>
  );
  return (
    <>
      <Group gap="xs" mt="xs" wrap="nowrap" role="group" aria-label={t("slider.label")}>
        {button(t("slider.first"), "first", 0, index === 0)}
        {button(t("slider.back"), "back", index - 1, index === 0)}
        <Tooltip label={t(playing ? "slider.pause" : "slider.play")}>
          <ActionIcon
            variant="light"
            aria-label={t(playing ? "slider.pause" : "slider.play")}
            onClick={() => {
              if (!playing && index >= last) go.current(0);
              setPlaying(!playing);
            }}
          >
            <Icon name={playing ? "pause" : "play"} size={15} />
          </ActionIcon>
        </Tooltip>
        {button(t("slider.next"), "forward", index + 1, index >= last)}
        {button(t("slider.last"), "last", last, index >= last)}
        <Slider flex={1} min={0} max={last} step={1} value={index} onChange={(n) => go.current(n)} label={(n) => (events[n] ? t(`event.${events[n].type}`) : "")} size="sm" thumbLabel={t("slider.label")} aria-label={t("slider.label")} />
        <Text size="xs" miw={190} maw={320} className="fl-cut" visibleFrom="sm">
          {told}
        </Text>
        <SegmentedControl size="xs" value={speed} onChange={setSpeed} data={["1", "2", "5", "20"].map((s) => ({ value: s, label: `${s}×` }))} visibleFrom="md" aria-label={t("slider.speed")} />
      </Group>
      <Text size="xs" hiddenFrom="sm">
        {told}
      </Text>
    </>
  );
}
