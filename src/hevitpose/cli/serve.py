"""`hevitpose serve`."""

from pathlib import Path
from typing import Annotated

import typer

from hevitpose.cli.runtime_options import Device, Model, PrecisionOption, RuntimeOption, Threads
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.inference.network import DEFAULT
from hevitpose.io.json_files import read_text

EXAMPLES = """
Examples:\n
  hevitpose serve\n
  curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg http://127.0.0.1:8080/v1/pose\n
  hevitpose serve --host 0.0.0.0 --token-file token.txt
"""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine, --token-file is required.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8080,
    token_file: Annotated[
        Path | None, typer.Option(help="Require the token in this file from every request for poses or metrics.")
    ] = None,
    model: Model = DEFAULT,
    detector: Annotated[
        str,
        typer.Option(help="Detector: auto, person (bundled), search, whole (one person per image) or an ONNX file."),
    ] = "auto",
    runtime: RuntimeOption = None,
    precision: PrecisionOption = "float32",
    device: Device = "cpu",
    threads: Threads = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images and crops per call.")] = 8,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Largest number of requests in memory; others get 429.")
    ] = 128,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Largest request body.")] = 20,
    max_megapixels: Annotated[float, typer.Option(min=0.001, max=300, help="Largest image to decode.")] = 50,
    read_seconds: Annotated[
        float, typer.Option(min=0.1, max=86400, help="Time limit for a client to send a request.")
    ] = 10,
    answer_seconds: Annotated[float, typer.Option(min=0.1, max=86400, help="Time limit for answering a request.")] = 30,
) -> None:
    """Serve predictions over HTTP, and the browser page.

    Ctrl+C or SIGTERM stops the service once accepted requests are answered.
    """
    need("serve")
    import numpy as np

    from hevitpose.inference.estimator import PoseEstimator
    from hevitpose.serve.app import build_app
    from hevitpose.serve.server import listen, make_server
    from hevitpose.serve.settings import ServeSettings, is_loopback

    token = None if token_file is None else read_token(token_file)
    loopback = is_loopback(host)
    if token is None and not loopback:
        raise InputError(f"--host {host}", "can be reached by others, who must need a token: --token-file FILE")
    settings = ServeSettings(token, loopback, max_requests, max_megabytes, max_megapixels, read_seconds, answer_seconds)
    estimator = PoseEstimator.from_pretrained(
        model,
        runtime=runtime,
        precision=precision,
        threads=threads,
        device=device,
        detector=detector,
        batch_size=batch_size,
    )
    estimator(np.zeros((64, 64, 3), dtype=np.uint8))  # loads the detector, and fails here rather than at a request
    with listen(host, port) as own:
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {estimator.network.name} at http://{shown}:{own.getsockname()[1]} (Ctrl+C ends it)", flush=True)
        try:
            make_server(build_app(estimator, settings), settings).run(sockets=[own])
        except KeyboardInterrupt:
            print("ended")


def read_token(path: Path) -> str:
    """The token in a file. Raises InputError where it is none."""
    from hevitpose.serve.settings import MIN_TOKEN_LENGTH

    token = read_text(path).strip()
    if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or len(token.split()) > 1:
        raise InputError(path, f"must hold a token: one word of at least {MIN_TOKEN_LENGTH} ASCII characters")
    return token
