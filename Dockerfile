# The service, without torch. Build: docker build -t hevitpose .
# Run: docker run -p 127.0.0.1:8080:8080 -v $PWD/token.txt:/run/secrets/token:ro hevitpose
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE constraints.txt /app/
COPY src /app/src
RUN pip install --no-cache-dir --constraint /app/constraints.txt '/app[serve]'
RUN useradd --create-home --uid 1000 pose
USER pose
WORKDIR /home/pose
EXPOSE 8080
HEALTHCHECK --start-period=20s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=5)"]
CMD ["hevitpose", "serve", "--host", "0.0.0.0", "--token-file", "/run/secrets/token"]
