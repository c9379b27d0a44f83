// Sends a gauge, a counter, a histogram, log records and spans with OpenTelemetry's own exporters.
// node otel.mjs URL FORMAT, with FORMAT `proto` or `http` (JSON); the packages lie below $STARLING_TEST_NPM.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.STARLING_TEST_NPM}/`);
const [url, format] = process.argv.slice(2);
const exporterOf = (signal, name) => {
    const Exporter = require(`@opentelemetry/exporter-${signal}-otlp-${format}`)[name];
    const path = { metrics: "metrics", logs: "logs", trace: "traces" }[signal];
    return new Exporter({ url: `${url}/v1/${path}`, compression: "gzip" });
};

const { resourceFromAttributes } = require("@opentelemetry/resources");
const resource = resourceFromAttributes({ "service.name": "billing", "host.name": `node-${format}` });

const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const reader = new PeriodicExportingMetricReader({ exporter: exporterOf("metrics", "OTLPMetricExporter") });
const meters = new MeterProvider({ resource, readers: [reader] });
const meter = meters.getMeter("test");
meter.createGauge("room.temperature").record(21.5, { room: "a1" });
const requests = meter.createCounter("requests");
[2, 3].forEach((count) => requests.add(count, { code: 200, method: "GET" }));
const durations = meter.createHistogram("duration");
[10, 20, 60].forEach((duration) => durations.record(duration));
await meters.shutdown();

const { LoggerProvider, SimpleLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const exporter = exporterOf("logs", "OTLPLogExporter");
const loggers = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
loggers.getLogger("test").emit({ severityNumber: 13, severityText: "WARN", body: "a fan is slow" });
await loggers.shutdown();

const { BasicTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const spanProcessors = [new SimpleSpanProcessor(exporterOf("trace", "OTLPTraceExporter"))];
const tracers = new BasicTracerProvider({ resource, spanProcessors });
const span = tracers.getTracer("test").startSpan("pay", { startTime: [1_700_000_000, 0] });
span.setStatus({ code: 2, message: "declined" });
span.end([1_700_000_000, 250_000_000]);
await tracers.shutdown();
