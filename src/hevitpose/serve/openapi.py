"""The service in the words of OpenAPI."""

from collections.abc import Sequence

from hevitpose.core.results import SCHEMA
from hevitpose.serve.settings import MAX_BOXES, SETS, ServeSettings

_NUMBER = {"type": "number"}
_NUMBER_OR_NULL = {"type": ["number", "null"]}
_SCORE = {"type": "number", "minimum": 0, "maximum": 1}


def description(keypoints: Sequence[str], settings: ServeSettings) -> dict[str, object]:
    """An OpenAPI 3.1 description of a service whose model predicts these keypoints.

    >>> sorted(description(["nose"], ServeSettings())["paths"])
    ['/healthz', '/metrics', '/readyz', '/v1/pose']
    """
    plain = {"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    guarded: dict[str, object] = {} if settings.token is None else {"security": [{"token": []}]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "hevitpose", "version": "1", "description": "People and their keypoints in an image."},
        "paths": {
            "/v1/pose": {"post": _pose(keypoints, settings) | guarded},
            "/healthz": {"get": {"summary": "Whether the process answers.", "responses": plain}},
            "/readyz": {"get": {"summary": "Whether a request would be answered now.", "responses": plain}},
            "/metrics": {"get": {"summary": "Counters in Prometheus' text format.", "responses": plain} | guarded},
        },
        "components": {
            "schemas": {"ImagePoses": _image_poses(), "Error": _object({"error": {"type": "string"}})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _pose(keypoints: Sequence[str], settings: ServeSettings) -> dict[str, object]:
    errors = {
        400: "An option that is unknown, malformed, or not to be combined with another; an empty body.",
        401: "No token, or another one, where the service demands one.",
        403: "Another host or origin.",
        408: f"The body took more than {settings.read_seconds:g} seconds to arrive.",
        413: f"More than {settings.max_megabytes:g} MB or {settings.max_megapixels:g} megapixels.",
        415: "Not an image.",
        422: "A broken image, or a box outside of it.",
        429: "Too many requests at once; Retry-After says when to come back.",
        503: f"No answer within {settings.answer_seconds:g} seconds; Retry-After says when to come back.",
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses: dict[str, object] = {
        "200": {
            "description": "The people of the image.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ImagePoses"}}},
        }
    }
    return {
        "summary": "The people of an image and their keypoints.",
        "parameters": [
            _option("keypoints", f"all, {', '.join(SETS)}, or names among {','.join(keypoints)}.", {"type": "string"}),
            _option("min_person_score", "Leave out people who score less; not together with boxes.", _SCORE),
            _option("max_people", "Keep only the best people.", {"type": "integer", "minimum": 1}),
            _option(
                "boxes",
                f"x,y,width,height of a person in pixels from the image's corner; repeat it, for {MAX_BOXES} at most. "
                "Without boxes the detector finds the people.",
                {"type": "array", "items": {"type": "string"}},
            ),
        ],
        "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
        "responses": responses
        | {str(status): {"description": text, "content": content} for status, text in errors.items()},
    }


def _option(name: str, text: str, schema: dict[str, object]) -> dict[str, object]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


def _image_poses() -> dict[str, object]:
    keypoint = _object({"x": _NUMBER_OR_NULL, "y": _NUMBER_OR_NULL, "score": _SCORE})
    person = _object(
        {
            "score": _SCORE,
            "box": {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4},
            "keypoints": {"type": "object", "additionalProperties": keypoint},
        }
    )
    return _object(
        {
            "schema": {"const": SCHEMA},
            "model": {"type": ["string", "null"]},
            "file": {"type": "null"},
            "width": {"type": "integer"},
            "height": {"type": "integer"},
            "people": {"type": "array", "items": person},
        }
    )


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}
