# One image for the shim, the worker and beat; docker-compose.yml says which of them a container is.
FROM python:3.11-slim-trixie AS build
COPY requirements/runtime.txt /build/
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /build/runtime.txt
COPY celeryconfig.py /app/
COPY worker /app/worker
COPY api_shim /app/api_shim
RUN python -m compileall -q /app

FROM python:3.11-slim-trixie
RUN groupadd --gid 10001 hubspot-export \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hubspot-export
# The root file system is read-only in production: bytecode is written above, logs go out line by line.
ENV PATH="/opt/venv/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
CMD ["python", "-m", "api_shim", "--host", "0.0.0.0", "--port", "8000"]
