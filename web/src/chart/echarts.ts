/** The parts of ECharts that pages use; loaded with the first chart (`Chart.tsx`), never before. */
import { BarChart, LineChart, PieChart } from "echarts/charts";
import { DataZoomInsideComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, PieChart, DataZoomInsideComponent, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);
export { init };
