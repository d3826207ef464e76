# One image for the shim, the worker, beat and the command line; docker-compose.yml says which of them a container is.
FROM python:3.11-slim-trixie AS build
COPY requirements/build.txt requirements/runtime.txt /build/requirements/
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /build/requirements/build.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /build/requirements/runtime.txt
COPY pyproject.toml README.md celeryconfig.py /build/
COPY worker /build/worker
COPY api_shim /build/api_shim
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel /build \
 && pip --python /opt/venv install --no-cache-dir --disable-pip-version-check --no-index --no-deps /build/wheel/*.whl

FROM python:3.11-slim-trixie
RUN groupadd --gid 10001 hubspot-export \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hubspot-export
# The root file system is read-only in production: pip has compiled the bytecode above. Logs are not buffered.
ENV PATH="/opt/venv/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv
USER 10001:10001
CMD ["python", "-m", "api_shim", "--host", "0.0.0.0", "--port", "8000"]
