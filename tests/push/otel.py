"""Sends a gauge, a counter, a histogram, a log record and a span with OpenTelemetry's own exporters.

python3 otel.py URL, the address of the listener.
"""

import sys

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode

url = sys.argv[1]
resource = Resource.create({"service.name": "billing", "host.name": "python"})
options = {"compression": Compression.Gzip, "timeout": 30}

reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{url}/v1/metrics", **options))
meters = MeterProvider(metric_readers=[reader], resource=resource)
meter = meters.get_meter("test")
meter.create_gauge("room.temperature").set(21.5, {"room": "a1"})
requests = meter.create_counter("requests")
for count in (2, 3):
    requests.add(count, {"code": 200, "method": "GET"})
durations = meter.create_histogram("duration")
for duration in (10, 20, 60):
    durations.record(duration)
meters.shutdown()

loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{url}/v1/logs", **options)))
loggers.get_logger("test").emit(severity_number=SeverityNumber.WARN, severity_text="WARN", body="a fan is slow")
loggers.shutdown()

tracers = TracerProvider(resource=resource)
tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces", **options)))
span = tracers.get_tracer("test").start_span("pay", start_time=1_700_000_000_000_000_000)
span.set_status(Status(StatusCode.ERROR, "declined"))
span.end(end_time=1_700_000_000_250_000_000)
tracers.shutdown()
