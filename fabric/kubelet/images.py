"""Images are pulled, with back-off, before a container starts.

The catalogue is on this machine, so that a pull is a look-up; an image that it does not know is asked
for again after 10 s, doubling to 300 s, as in Kubernetes.
"""

from __future__ import annotations

from typing import Protocol

from fabric.api.objects import Object, uid_of
from fabric.errors import FabricError
from fabric.kubelet.backoff import KeyedBackoff
from fabric.kubelet.catalogue import Image
from fabric.kubelet.records import Waiting


class Catalogue(Protocol):
    """The images of this machine (`fabric images`)."""

    def resolve(self, reference: str) -> Image:
        """The image of that name, whatever its registry and tag; FabricError says what is missing."""
        ...


def image_id(image: Image) -> str:
    """The `imageID` of a container's status."""
    return f"fabric://images/{image.name}"


class Puller:
    """Look-ups for all pods of one kubelet, with their failures."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._backoff = KeyedBackoff()
        self._failed: dict[str, tuple[float, str]] = {}

    def pull(self, pod: Object, container: Object, now: float) -> tuple[Image | None, Waiting | None, float]:
        """Return the image, or why there is none and the seconds until it is worth asking again."""
        name = container.get("image", "")
        key = f"{uid_of(pod)}/{name}"
        since, message = self._failed.get(key, (now, ""))
        seconds = self._backoff.remaining(key, since, now)
        if seconds > 0:
            text = f'Back-off pulling image "{name}": ErrImagePull: {message}'
            return None, Waiting("ImagePullBackOff", text), seconds
        try:
            image = self._catalogue.resolve(name)
        except FabricError as error:
            self._failed[key] = (now, str(error))
            self._backoff.next(key, now)
            return None, Waiting("ErrImagePull", str(error)), 1.0
        self._failed.pop(key, None)
        return image, None, 0.0

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._backoff.forget(f"{uid}/")
        for key in [key for key in self._failed if key.startswith(f"{uid}/")]:
            del self._failed[key]
