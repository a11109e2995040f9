# ptq in a container, from the archive that scripts/release writes:
#   scripts/release && docker build -t ptq . && docker run --rm -v "$PWD:/work" ptq list methods
#   apptainer build ptq.sif docker-daemon://ptq:latest && apptainer run ptq.sif list methods
# Untested: where this file was written there was nothing to build it with.
FROM eclipse-temurin:17-jdk AS archive
COPY pipeline/target/ptq-*.zip /archive.zip
RUN mkdir /opt/unpacked && cd /opt/unpacked && jar xf /archive.zip && mv ptq-* /opt/ptq && chmod 755 /opt/ptq/bin/ptq

FROM eclipse-temurin:17-jre
# charts of reports are drawn with the machine's fonts
RUN apt-get update && apt-get install -y --no-install-recommends fontconfig fonts-dejavu-core && rm -rf /var/lib/apt/lists/*
COPY --from=archive /opt/ptq /opt/ptq
ENV PATH=/opt/ptq/bin:$PATH
WORKDIR /work
ENTRYPOINT ["ptq"]
