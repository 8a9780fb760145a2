"""Layers, order and routes for `layout`: boxes in columns from left to right, flows between them at right angles. Knows nothing of BPMN."""

from __future__ import annotations

_GAP_Y, _PASS_H, _COLUMN_GAP, _TRACK = 40, 16, 50, 10
_SWEEPS = 9
#: placeholders of long flows in one scope; flows beyond are led below like those that run back
_PLACEHOLDERS_MAX = 20_000


class LayerNode:
    __slots__ = ("below", "dummy", "falls", "h", "id", "ins", "lane", "layer", "order", "outs", "w", "x", "y")

    def __init__(self, id: str, w: int, h: int, lane: int = 0, dummy: bool = False, below: int = 0) -> None:
        self.id, self.w, self.h, self.lane, self.dummy, self.below = id, w, h, lane, dummy, below
        self.layer = 0
        self.order = 0.0
        self.x = self.y = 0
        self.ins: list[LayerNode] = []
        self.outs: list[LayerNode] = []
        #: (source, this) of flows that come from below their source
        self.falls: set[tuple[str, str]] = set()


class LayerEdge:
    __slots__ = ("back", "chain", "from_below", "id", "source", "target")

    def __init__(self, id: str, source: str, target: str, from_below: bool) -> None:
        self.id, self.source, self.target, self.from_below = id, source, target, from_below
        self.back = False
        #: the nodes that it passes through, both ends included
        self.chain: list[LayerNode] = []


class LayerGraph:
    """Nodes and edges in; `arrange` places them; `route` gives the points of an edge."""

    def __init__(self) -> None:
        self.nodes: dict[str, LayerNode] = {}
        self.edges: list[LayerEdge] = []
        self.layers: list[list[LayerNode]] = []
        #: lane -> lowest y of its nodes with a margin
        self.lane_ends: dict[int, int] = {}
        self._tracks: dict[tuple[str, int], int] = {}
        self._bottom = 0
        self._backs = 0

    def node(self, id: str, w: int, h: int, lane: int = 0, below: int = 0) -> None:
        self.nodes[id] = LayerNode(id, w, h, lane, below=below)

    def edge(self, id: str, source: str, target: str, from_below: bool = False) -> None:
        if source in self.nodes and target in self.nodes:
            self.edges.append(LayerEdge(id, source, target, from_below))

    def arrange(self) -> None:
        self._cut_loops()
        self._layer()
        self._chains()
        self._order()
        self._place()

    def _cut_loops(self) -> None:
        """Edges that close a loop in a depth-first walk run back."""
        outs: dict[str, list[LayerEdge]] = {}
        has_in = set()
        for e in self.edges:
            outs.setdefault(e.source, []).append(e)
            has_in.add(e.target)
        state: dict[str, int] = {}
        for root in [n for n in self.nodes if n not in has_in] + list(self.nodes):
            if root in state:
                continue
            state[root] = 1
            stack = [(root, iter(outs.get(root, ())))]
            while stack:
                id, rest = stack[-1]
                for e in rest:
                    if state.get(e.target) == 1:
                        e.back = True
                    elif e.target not in state:
                        state[e.target] = 1
                        stack.append((e.target, iter(outs.get(e.target, ()))))
                        break
                else:
                    state[id] = 2
                    stack.pop()

    def _layer(self) -> None:
        """Longest path from the left, in topological order."""
        outs: dict[str, list[str]] = {}
        waiting = dict.fromkeys(self.nodes, 0)
        for e in self.edges:
            if not e.back:
                outs.setdefault(e.source, []).append(e.target)
                waiting[e.target] += 1
        ready = [n for n, count in waiting.items() if not count]
        for id in ready:
            for target in outs.get(id, ()):
                self.nodes[target].layer = max(self.nodes[target].layer, self.nodes[id].layer + 1)
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)

    def _chains(self) -> None:
        """Flows over several layers get a placeholder in each, so that nothing else stands in their way."""
        count = 1 + max((n.layer for n in self.nodes.values()), default=-1)
        self.layers = [[] for _ in range(count)]
        for n in self.nodes.values():
            self.layers[n.layer].append(n)
        budget = _PLACEHOLDERS_MAX
        for e in self.edges:
            a, b = self.nodes[e.source], self.nodes[e.target]
            if not e.back and b.layer - a.layer > 1:
                budget -= b.layer - a.layer - 1
                e.back = budget < 0
            if e.back:
                continue
            e.chain = [a]
            for layer in range(a.layer + 1, b.layer):
                # a flow to another lane stays in its source's lane until the last step
                passing = LayerNode(f"{e.id}@{layer}", 0, _PASS_H, a.lane, dummy=True)
                passing.layer = layer
                self.layers[layer].append(passing)
                e.chain.append(passing)
            e.chain.append(b)
            for left, right in zip(e.chain, e.chain[1:], strict=False):
                left.outs.append(right)
                right.ins.append(left)
            if e.from_below:
                e.chain[1].falls.add((a.id, e.chain[1].id))

    def _order(self) -> None:
        for layer in self.layers:
            for n, node in enumerate(layer):
                node.order = n
        for sweep in range(_SWEEPS):
            forward = sweep % 2 == 0
            for layer in self.layers[1:] if forward else reversed(self.layers[:-1]):
                wanted: dict[str, tuple[int, float, float]] = {}
                for node in layer:
                    beside = sorted(
                        [m.order + (0.4 if (m.id, node.id) in node.falls else 0) for m in node.ins]
                        if forward
                        else [m.order for m in node.outs]
                    )
                    median = node.order
                    if beside:
                        k = len(beside) // 2
                        median = beside[k] if len(beside) % 2 else (beside[k - 1] + beside[k]) / 2
                    wanted[node.id] = (node.lane, median, node.order)
                layer.sort(key=lambda node: wanted[node.id])
                for n, node in enumerate(layer):
                    node.order = n

    def _place(self) -> None:
        left = 0
        lane_top: dict[int, int] = {}
        lanes = sorted({n.lane for layer in self.layers for n in layer})
        for layer in self.layers:
            width = max((n.w for n in layer), default=0)
            for n in layer:
                n.x = left + (width - n.w) // 2
            turning = sum(len(n.outs) for n in layer)
            left += width + _COLUMN_GAP + min(_TRACK * turning, 200)
        # heights lane by lane; within one, each layer is packed towards its neighbours' middle
        top = 0
        for lane in lanes:
            lane_top[lane] = top
            columns = [[n for n in layer if n.lane == lane] for layer in self.layers]
            for _ in range(2):
                for column in columns:
                    self._pack(column, top, "ins")
                for column in reversed(columns):
                    self._pack(column, top, "outs")
            for column in columns:
                self._pack(column, top, "ins")
            lowest = min((n.y for column in columns for n in column), default=top)
            for column in columns:
                for n in column:
                    n.y -= lowest - top
            top = max((n.y + n.h + n.below for column in columns for n in column), default=top) + _GAP_Y
            self.lane_ends[lane] = top
        self._bottom = max((n.y + n.h + n.below for layer in self.layers for n in layer), default=0)

    @staticmethod
    def _pack(column: list[LayerNode], top: int, side: str) -> None:
        """Put each node as near as possible to the middle of its neighbours on one side, keeping the order and the gaps.

        Least sum of distances under an order: pool adjacent violators, each pool at its weighted median (J. B. Kruskal, 1964). Placeholders weigh
        more, so long flows run straight.
        """
        pools: list[list[tuple[int, int]]] = []
        sizes: list[int] = []
        offset = 0
        offsets: list[int] = []
        for n in column:
            offsets.append(offset)
            beside, pull = [], 0
            for m in getattr(n, side):
                if m.lane == n.lane:
                    below = (m.id, n.id) in n.falls if side == "ins" else (n.id, m.id) in m.falls
                    beside.append(m.y + m.h + 40 if below and side == "ins" else m.y + m.h // 2)
                    pull += 1 if below else 2  # what goes straight on stays straight, what falls gives way
            wish = _middle(beside) - n.h // 2 if beside else (n.y or top + offset)
            weight = (4 if n.dummy else 1) * pull or 1
            pool = [(wish - offset, weight)]
            count = 1
            while pools and _weighted_median(pools[-1]) > _weighted_median(pool):
                pool = pools.pop() + pool
                count += sizes.pop()
            pools.append(pool)
            sizes.append(count)
            offset += n.h + n.below + (_PASS_H if n.dummy else _GAP_Y)
        position = 0
        for pool, count in zip(pools, sizes, strict=True):
            at = _weighted_median(pool)
            for n, o in zip(column[position : position + count], offsets[position : position + count], strict=True):
                n.y = at + o
            position += count

    def _track(self, layer: int, key: str) -> int:
        """A place for a vertical run in the gap right of a layer, one per flow."""
        used = self._tracks.setdefault((key, layer), sum(1 for k in self._tracks if k[1] == layer))
        right = max((n.x + n.w for n in self.layers[layer]), default=0)
        return right + 20 + _TRACK * (used % 20)

    def route(self, e: LayerEdge) -> list[tuple[int, int]]:
        """Points from the right of the source to the left of the target."""
        a, b = self.nodes[e.source], self.nodes[e.target]
        if e.back:
            self._backs += 1
            low = self._bottom + 20 + 12 * (self._backs - 1)
            ax, bx = a.x + a.w // 2, b.x + b.w // 2
            if a is b:
                ax, bx = a.x + a.w - 15, a.x + 15
            return [(ax, a.y + a.h), (ax, low), (bx, low), (bx, b.y + b.h)]
        points = [(a.x + a.w, a.y + a.h // 2)]
        for left, right in zip(e.chain, e.chain[1:], strict=False):
            y0, y1 = points[-1][1], right.y + right.h // 2
            if y0 != y1:
                track = self._track(left.layer, e.id)
                points += [(track, y0), (track, y1)]
            points.append((right.x, y1))
        return straighten(points)


def _middle(values: list[int]) -> int:
    ordered = sorted(values)
    k = len(ordered) // 2
    return ordered[k] if len(ordered) % 2 else (ordered[k - 1] + ordered[k]) // 2


def _weighted_median(pool: list[tuple[int, int]]) -> int:
    ordered = sorted(pool)
    half, seen = sum(w for _, w in pool), 0
    for value, weight in ordered:
        seen += 2 * weight
        if seen >= half:
            return value
    return ordered[-1][0]


def straighten(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without repeated points and without points in the middle of a straight run."""
    out: list[tuple[int, int]] = []
    for p in points:
        if out and p == out[-1]:
            continue
        if len(out) > 1 and ((out[-2][0] == out[-1][0] == p[0]) or (out[-2][1] == out[-1][1] == p[1])):
            out[-1] = p
            continue
        out.append(p)
    return out


def from_bottom(px: int, py: int, points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The route of a flow that leaves downwards from (px, py) instead of from the right of the host."""
    rest = points[1:]
    if len(points) == 4 and points[0][0] == points[1][0]:  # runs back below: only its start moves
        return straighten([(px, py), (px, points[1][1]), *points[2:]])
    end_y = rest[0][1] if len(rest) == 1 else rest[1][1]
    if len(rest) > 1 and end_y > py + 10:
        return straighten([(px, py), (px, end_y), *rest[1:]])
    turn = rest[0][0] if len(rest) > 1 else (points[0][0] + rest[0][0]) // 2
    first_y = rest[0][1] if len(rest) == 1 else rest[1][1]
    return straighten([(px, py), (px, py + 20), (turn, py + 20), (turn, first_y), *(rest if len(rest) == 1 else rest[1:])])
