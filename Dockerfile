# The project and its dependencies, without a key and without data. compose.yaml runs it twice: webserver and daemon.
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt PACKAGE.md LICENSE ./
COPY klaviyo_pipeline ./klaviyo_pipeline
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home klaviyo && install -d -m 0750 -o klaviyo -g klaviyo /data /opt/dagster
COPY --from=build /venv /venv
WORKDIR /app
COPY workspace.yaml ./
COPY --from=build --chown=klaviyo:klaviyo /venv/lib/python3.11/site-packages/klaviyo_pipeline/dagster.yaml /opt/dagster/
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONTZPATH="" DAGSTER_HOME=/opt/dagster KLAVIYO_DUCKDB_PATH=/data/klaviyo.duckdb
USER klaviyo
EXPOSE 3000
CMD ["dagster-webserver", "-w", "workspace.yaml", "-h", "0.0.0.0", "-p", "3000"]
