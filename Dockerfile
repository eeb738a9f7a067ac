# One image for Lambda, for the emulator and for plain HTTP (`docker run IMAGE serve`).
#   docker build -t onnx-lambda .
#   docker build -t onnx-lambda --build-arg EXTRAS="arrow text" .    with optional libraries (pyproject.toml names them)
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
ARG EXTRAS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
COPY requirements/runtime.lock requirements/arrow.lock requirements/text.lock /build/
# Only wheels, only what the lock names, only with the hashes it names. As plain folders rather than a virtual
# environment: nothing to activate, and no .pth file to run at every start.
RUN set -e; for wanted in runtime ${EXTRAS}; do cat "/build/$wanted.lock"; done > /build/wanted.lock; \
    python3 -m pip install --quiet --require-hashes --no-deps --only-binary :all: --no-compile --target /opt/python \
      --report /build/installed.json --requirement /build/wanted.lock
# What serving never opens: the C library beside the binding that contains it, converters, tests, stubs, scripts.
WORKDIR /opt/python
RUN rm -rf bin onnxruntime/capi/libonnxruntime.so* onnxruntime/transformers onnxruntime/quantization onnxruntime/tools \
      onnxruntime/datasets onnxruntime/backend numpy/f2py numpy/_core/include numpy/random/_examples numpy/_core/lib/*.a \
      numpy/conftest.py uvloop/_testbase.py annotated_types/test_cases.py \
      pyarrow/src pyarrow/include pyarrow/*flight* pyarrow/libarrow_s3.so* pyarrow/_s3fs.* pyarrow/_pyarrow_cpp_tests.* \
    && find . -depth -type d \( -name tests -o -name test -o -name __pycache__ \) -exec rm -rf {} + \
    && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.hpp' -o -name '*.cpp' \) -delete
# botocore describes 400 services. Used are those of app/storage/aws_clients.py (a test compares them), and sts by botocore itself
# for a Kubernetes service account's role; the files beside the folders are about all services.
RUN find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name codedeploy ! -name dynamodb ! -name events ! -name firehose ! -name lambda ! -name s3 \
      ! -name secretsmanager ! -name sqs ! -name stepfunctions ! -name sts -exec rm -rf {} +
COPY entrypoint.sh /entrypoint.sh
COPY handler.py /var/task/handler.py
COPY app /var/task/app
COPY models /var/task/models
WORKDIR /var/task
# Optimises the graphs, writes models.lock, and fails the image when a golden sample has drifted.
RUN ORT_DISABLE_TELEMETRY=1 PYTHONPATH=/opt/python python3 -m app build --only-prepared
# What is in the image, for scanners: `make sbom` takes it out.
COPY deployment/sbom.py /build/sbom.py
RUN python3 /build/sbom.py /build/installed.json models/models.lock /var/lib/dpkg/status > /build/sbom.cdx.json
# unchecked-hash: the import system then never looks at the source's time, which builders rewrite; without usable
# .pyc files every cold start compiles anew, because the root is read-only there.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /opt/python -p /opt/python /opt/python \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /var/task \
    # Lambda reads them as a user of its own, whatever the checkout's umask was. `COPY --chmod` needs BuildKit, which
    # `sam build` does not use. With times set alike, builds of the same
    # files differ in nothing but their folders' own times.
    && chmod -R a+rX /opt/python /var/task /build && chmod 0755 /entrypoint.sh \
    && find /opt/python /var/task /entrypoint.sh /build/sbom.cdx.json -exec touch -h -d @0 {} +

FROM ${BASE_IMAGE} AS lambda
LABEL org.opencontainers.image.title="onnx-lambda" \
      org.opencontainers.image.description="Trained ONNX models as an HTTPS endpoint on AWS Lambda" \
      org.opencontainers.image.licenses="Apache-2.0"
# No package manager of Python's in the image. The official base image ships the standard library without .pyc files,
# others with ones that are checked against the source's time: all are compiled as above.
RUN standard=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && rm -rf "$standard"/ensurepip "$standard"/idlelib "$standard"/tkinter "$standard"/turtledemo "$standard"/lib2to3 \
      "$standard"/site-packages /usr/lib/python3/dist-packages /usr/share/python-wheels \
      /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/pydoc* /usr/local/bin/2to3* /usr/bin/pip* \
    && find "$standard" -depth -type d \( -name test -o -name tests -o -name 'config-*' \) -exec rm -rf {} + \
    && python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$standard" \
    # Graphs that lower-case text ask for this locale (ONNX's StringNormalizer names it as the default), and slim images
    # have C.utf8 alone, which does the same to letters.
    && { [ -e /usr/lib/locale/en_US.utf8 ] || cp -r /usr/lib/locale/C.utf8 /usr/lib/locale/en_US.utf8; }
COPY --from=build /opt/python /opt/python
COPY --from=build /var/task /var/task
COPY --from=build /entrypoint.sh /entrypoint.sh
COPY --from=build /build/sbom.cdx.json /usr/share/onnx-lambda/sbom.cdx.json
# Not set: PYTHONUNBUFFERED (awslambdaric flushes every write by itself, `serve` what it prints) and HEALTHCHECK (Lambda
# ignores it; clusters have probes of their own, for GET /health/live and /health/ready).
ENV PYTHONPATH=/opt/python:/var/task \
    PYTHONDONTWRITEBYTECODE=1 \
    # ONNX Runtime reports to its makers unless this is set before the process starts
    ORT_DISABLE_TELEMETRY=1 \
    # NumPy would start a thread for each CPU at import
    OPENBLAS_NUM_THREADS=1 \
    # pydantic would read the metadata of every installed package at its first model
    PYDANTIC_DISABLE_PLUGINS=__all__ \
    MODEL_DIR=/var/task/models \
    # of `serve`: the one place that any user may write to where the root is read-only
    JOBS_DIR=/tmp/onnx-lambda \
    HOST=0.0.0.0 \
    PORT=8080
WORKDIR /var/task
EXPOSE 8080
ENTRYPOINT ["/entrypoint.sh"]
CMD ["handler.handler"]

# Lambda runs an image that names no user as one of its own without privileges, and `sam local` adds the emulator to the
# image as the image's user; so template.yaml builds the stage above: https://docs.aws.amazon.com/lambda/latest/dg/python-image.html
# Everywhere else the same files run as this user.
FROM lambda
# A volume that is mounted here is this user's: JOBS_DIR=/var/lib/onnx-lambda keeps jobs beyond the container.
RUN install -d -o 10001 -g 10001 /var/lib/onnx-lambda
USER 10001:10001
