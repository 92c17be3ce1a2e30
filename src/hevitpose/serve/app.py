"""The service: one path that answers an image with its people, and what operators and browsers need around it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hevitpose.core.results import ImagePoses
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import PERSON_DETECTOR, list_models, weights_folder
from hevitpose.serve.batcher import Batcher
from hevitpose.serve.guard import Guard, refusal_response
from hevitpose.serve.metrics import Metrics
from hevitpose.serve.openapi import description
from hevitpose.serve.settings import PoseOptions, Refused, ServeSettings, parse_options

MEDIA = ("image/", "application/octet-stream")
"""How a body's Content-Type begins."""
NO_PAGE = (
    "hevitpose: POST an image to /v1/pose; /openapi.json describes it. The page is not built: make web, in a clone.\n"
)


def build_app(estimator: PoseEstimator, settings: ServeSettings, page: Path | None = None) -> Starlette:
    """The ASGI application that serves an estimator; `page` is the folder of the page, by default the package's."""
    service = Service(estimator, settings)
    folder = page or Path(str(resources.files("hevitpose"))) / "serve" / "page"
    has_page = (folder / "index.html").is_file()
    routes: list[Route | Mount] = [
        Route("/v1/pose", service.pose, methods=["POST"]),
        Route("/v1/pose", service.only_post, methods=["GET", "PUT", "PATCH", "DELETE"]),
        Route("/healthz", service.healthz),
        Route("/readyz", service.readyz),
        Route("/metrics", service.show_metrics),
        Route("/openapi.json", service.openapi),
        Route("/models/{name}.onnx", service.weights),
        Mount("/", StaticFiles(directory=folder, html=True)) if has_page else Route("/", service.no_page),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, settings=settings, metrics=service.metrics)],
        exception_handlers={Refused: service.refuse, HTTPException: service.refuse_http},
        lifespan=service.lifespan,
    )


class Service:
    """The answers to each path."""

    def __init__(self, estimator: PoseEstimator, settings: ServeSettings) -> None:
        self.estimator, self.settings, self.metrics = estimator, settings, Metrics()
        self.batcher = Batcher(estimator, settings.max_megapixels, self.metrics)
        self.inside, self.ready = 0, False

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Predict as long as the service runs; at its end every request has been answered."""
        batches = asyncio.create_task(self.batcher.run())
        self.ready = True
        yield
        self.ready = False
        batches.cancel()
        with suppress(asyncio.CancelledError):
            await batches

    async def pose(self, request: Request) -> Response:
        """The people of the image in the body."""
        started = time.monotonic()
        options = parse_options(request.query_params.multi_items(), self.estimator.network.config.skeleton.keypoints)
        if not request.headers.get("content-type", "").lower().startswith(MEDIA):
            raise Refused(415, "the body is an image: Content-Type: image/jpeg, or another image/...")
        with self._slot():
            try:
                body = await self._read(request)
                async with asyncio.timeout(self.settings.answer_seconds):
                    poses = await self.batcher.submit(body, options)
            except TimeoutError:
                raise Refused(503, "no answer in time: too many requests at once") from None
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody reads
        self.metrics.people.inc(len(poses))
        self.metrics.seconds.observe(time.monotonic() - started)
        return JSONResponse(answer(poses, options))

    async def only_post(self, _: Request) -> Response:
        """Other methods, which the page's folder would answer with 404."""
        raise HTTPException(405, headers={"Allow": "POST"})

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """One of the places for requests in memory. Raises Refused where all are taken."""
        if self.inside >= self.settings.max_requests:
            raise Refused(429, "too many requests at once")
        self.inside += 1
        self.metrics.requests.set(self.inside)
        try:
            yield
        finally:
            self.inside -= 1
            self.metrics.requests.set(self.inside)

    async def _read(self, request: Request) -> bytes:
        """The body. Raises Refused where it is empty, too large or too slow."""
        limit = int(self.settings.max_megabytes * 1e6)
        too_large = f"a body of more than {self.settings.max_megabytes:g} MB"
        if int(request.headers.get("content-length", 0)) > limit:
            raise Refused(413, too_large)
        body = bytearray()
        try:
            async with asyncio.timeout(self.settings.read_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise Refused(413, too_large)
        except TimeoutError:
            raise Refused(408, f"the body did not arrive in {self.settings.read_seconds:g} seconds") from None
        if not body:
            raise Refused(400, "the body is empty: it is the image")
        return bytes(body)

    async def healthz(self, _: Request) -> Response:
        """Whether the process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Whether a request would be answered now."""
        if not self.ready or self.inside >= self.settings.max_requests:
            raise Refused(503, "not ready")
        return PlainTextResponse("ready\n")

    async def show_metrics(self, _: Request) -> Response:
        """The counters."""
        return Response(self.metrics.text(), media_type=self.metrics.content_type)

    async def openapi(self, _: Request) -> Response:
        """The description of the service."""
        return JSONResponse(description(self.estimator.network.config.skeleton.keypoints, self.settings))

    async def weights(self, request: Request) -> Response:
        """Bundled weights, which the page runs."""
        name = request.path_params["name"]
        if name not in (*list_models(), PERSON_DETECTOR):
            raise Refused(404, "no such weights")
        return FileResponse(weights_folder() / f"{name}.onnx", media_type="application/octet-stream")

    async def no_page(self, _: Request) -> Response:
        """In place of the page, where there is none."""
        return PlainTextResponse(NO_PAGE)

    async def refuse(self, _: Request, error: Exception) -> Response:
        """The answer to what is refused."""
        return refusal_response(error if isinstance(error, Refused) else Refused(500, "internal error"))

    async def refuse_http(self, _: Request, error: Exception) -> Response:
        """The answer where there is no such path or method."""
        status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None)
        return JSONResponse({"error": str(getattr(error, "detail", "")).lower()}, status, headers)


def answer(poses: ImagePoses, options: PoseOptions) -> dict[str, object]:
    """The people as `hevitpose predict` writes them, with the keypoints asked for."""
    found = poses.to_json()
    if options.keypoints is not None:
        for person in found["people"]:
            person["keypoints"] = {name: person["keypoints"][own] for name, own in options.keypoints}
    return found
