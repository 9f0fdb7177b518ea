"""Serve a page for the browser: drop a video or record one, and see its movements.

    python app.py
    python app.py --host 0.0.0.0 --port 8000

Does for one video what predict_video.py does, and shows the same page. Without --host only this
machine can open it. No other machine is asked for anything. Writes only to a temporary folder: a
video is deleted as soon as it has been analysed, the folder when the server ends. Needs
requirements-app.txt.
"""

import contextlib
import html
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.command_line import parse_settings
from common.errors import UserError, describe_os_error, run_script
from datasets.frames.flow import FlowMethod
from datasets.frames.registration import Landmarks, check_installed
from datasets.video.decode import VideoFrame
from training.movement_reader import SHIPPED, Reader, load_reader
from training.video import VideoSettings, predict_video

INSTALL = "python -m pip install -r requirements-app.txt"
OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Read by Gradio and its Hugging Face client when they are imported."""
POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
"""What browsers may ask for: this server, and what the page itself holds."""
FILE_ROUTE = "/file="
"""Where Gradio would serve uploads, for its preview of a video that is being moved away."""
FONTS = ["system-ui", "sans-serif"]
MOST_WAITING = 20
FORGOTTEN_SECONDS = 3600
"""An upload that broke off, or that no page took up, is deleted after this."""
FRAMES_BETWEEN_UPDATES = 10
FRAME = '<iframe title="Result" sandbox style="{style}" srcdoc="{page}"></iframe>'
STYLE = "width: 100%; height: 80vh; border: 1px solid #dde2e7"
INTRODUCTION = """# Movements of a face in a video
Drop a video of one face, upright and lit, or record one; its analysis begins at once. The server
deletes the video afterwards, and the result is in this window only."""

CAMERA = {"video": {"width": {"ideal": 1280}, "frameRate": {"ideal": 60}}}
"""What is asked of a user's camera."""

Progress = Callable[..., Any]


@dataclass(frozen=True)
class Config:
    """Where to serve, and how videos are looked at."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets in everyone who can reach this machine."""
    port: int = 7860
    """Port to listen at; 0 takes a free one."""
    max_megabytes: int = 200
    """Largest file that is accepted."""
    weights: Path = SHIPPED
    """Folder of weights that classify, or one file of them."""
    landmarks: Landmarks = 5
    """dlib's landmark model: 5 points (public domain), or 68 (not for commercial use)."""
    flow: FlowMethod = "tvl1"
    """Optical flow of what may be expressions; tvl1 is the published one."""


@dataclass
class Desk:
    """Takes uploads in and analyses them; nothing of them stays.

    Attributes:
        folder: everything is written below it.
        settings: how videos are looked at.
        reader: what is told of movements.
    """

    folder: Path
    settings: VideoSettings
    reader: Reader
    _waiting: dict[str, list[Path]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def uploads(self) -> Path:
        """Where the server stores what browsers send."""
        return self.folder / "uploads"

    def take(self, upload: Path, session: str) -> None:
        """Move an upload into a folder of its own: equal files of two users share a place.

        Raises:
            UserError: it was not uploaded, or has just been taken for another user.
        """
        if self.uploads.resolve() not in upload.resolve().parents:
            raise UserError("only uploads are analysed.")
        video = Path(tempfile.mkdtemp(prefix="video_", dir=self.folder)) / upload.name
        try:
            upload.rename(video)
        except FileNotFoundError:
            video.parent.rmdir()
            raise UserError(f"{upload.name} is gone. Give it once more.") from None
        with self._lock:
            self._waiting.setdefault(session, []).append(video)
        self._delete_forgotten()

    def analyse(self, session: str, progress: Progress) -> str:
        """The result of a session's next video, or why there is none, as HTML."""
        with self._lock:
            videos = self._waiting.get(session)
            if not videos:
                return ""
            video = videos.pop(0)
        try:
            return self._result(video, progress)
        except (UserError, OSError) as error:
            text = str(error) if isinstance(error, UserError) else describe_os_error(error)
            # Where it lies on the server is of no use to the user.
            text = text.replace(f"{video.parent}{os.sep}", "")
            return f'<p role="alert"><strong>{html.escape(text)}</strong></p>'
        finally:
            shutil.rmtree(video.parent)

    def _result(self, video: Path, progress: Progress) -> str:
        def shown(frames: Iterable[VideoFrame], total: int) -> Iterator[VideoFrame]:
            for done, frame in enumerate(frames, start=1):
                if done % FRAMES_BETWEEN_UPDATES == 0:
                    known = total if done <= total else None
                    progress((done, known), desc=video.name, unit="frames")
                yield frame

        with tempfile.TemporaryDirectory(prefix="result_", dir=self.folder) as out:
            result = predict_video(
                video, Path(out), video.stem, self.settings, self.reader, progress=shown
            )
            page = result.page.read_text(encoding="utf-8")
        table = result.events.to_csv(index=False, lineterminator="\n")
        links = _link("page", f"{video.stem}.html", page), _link("table", "events.csv", table)
        frame = FRAME.format(style=STYLE, page=html.escape(page))
        return f"<p>Save the {' or the '.join(links)}.</p>{frame}"

    def forget(self, session: str) -> None:
        """Delete what waits for a user who has left."""
        with self._lock:
            videos = self._waiting.pop(session, [])
        for video in videos:
            shutil.rmtree(video.parent)

    def _delete_forgotten(self) -> None:
        for path in self.uploads.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS:
                    path.unlink()


def _link(text: str, name: str, content: str) -> str:
    """A link that saves a file which the page itself holds."""
    data = b64encode(content.encode()).decode()
    uri = f"data:application/octet-stream;base64,{data}"
    return f'<a download="{html.escape(name)}" href="{uri}">{text}</a>'


def main(reader: Reader | None = None) -> None:
    """Serve until interrupted.

    Args:
        reader: what is told of movements; None takes the one of the weights.
    """
    config = parse_settings(Config, __doc__)
    check_installed()
    settings = VideoSettings(config.landmarks, config.flow)
    with (
        _listening(config) as listening,
        tempfile.TemporaryDirectory(prefix="causalnet_app_") as folder,
    ):
        desk = Desk(Path(folder), settings, reader or load_reader(config.weights))
        application = _application(desk, config.max_megabytes)
        address = f"[{config.host}]" if ":" in config.host else config.host
        print(f"Open http://{address}:{listening.getsockname()[1]}/ (Ctrl+C ends)", flush=True)
        _serve(application, listening)


def _listening(config: Config) -> socket.socket:
    if not config.host:
        # The empty name would let in everyone.
        raise UserError("--host is empty. Give an address, such as 127.0.0.1.")
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        # Python adds the address to the message of a port in use.
        reason = str(error.strerror or error).split(" (while")[0]
        raise UserError(
            f"nothing can be served at {config.host}, port {config.port}: {reason}. "
            "Give another --port or --host."
        ) from None


def _gradio(uploads: Path) -> Any:
    os.environ |= OFFLINE | {"GRADIO_TEMP_DIR": str(uploads)}
    try:
        import gradio
    except ImportError:
        raise UserError(f"the page needs Gradio. Install it: {INSTALL}") from None
    return gradio


def _application(desk: Desk, max_megabytes: int) -> Any:
    """The page as an ASGI application."""
    gradio = _gradio(desk.uploads)
    from fastapi import FastAPI

    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    application.add_middleware(_Guard)
    return gradio.mount_gradio_app(
        application,
        _page(gradio, desk),
        path="/",
        max_file_size=f"{max_megabytes}mb",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=gradio.themes.Default(font=FONTS, font_mono=["monospace"]),
    )


def _page(gradio: Any, desk: Desk) -> Any:
    bar = gradio.Progress()

    def take(upload: dict[str, Any] | None, request: gradio.Request) -> None:
        try:
            desk.take(Path(upload["path"]) if upload else Path(), request.session_hash)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None

    def analyse(request: gradio.Request, progress: Any = bar) -> str:
        return desk.analyse(request.session_hash, progress)

    def forget(request: gradio.Request) -> None:
        desk.forget(request.session_hash)

    with gradio.Blocks(title="Movements of a face in a video", analytics_enabled=False) as page:
        gradio.Markdown(INTRODUCTION)
        video = gradio.Video(
            sources=["upload", "webcam"],
            include_audio=False,
            label="Video",
            webcam_options=gradio.WebcamOptions(constraints=CAMERA),
        )
        result = gradio.HTML()
        private = {"api_visibility": "private", "trigger_mode": "multiple"}
        for given in (video.upload, video.stop_recording):
            # Without preprocessing: what Gradio would do to the video needs ffmpeg.
            taken = given(take, video, video, preprocess=False, queue=False, **private)
            taken.success(analyse, None, result, api_visibility="private")
        page.unload(forget)
    return page.queue(max_size=MOST_WAITING, default_concurrency_limit=1, api_open=False)


class _Guard:
    """Gives no file back, and tells browsers to ask no other host, whatever Gradio's page holds."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                message["headers"] = [*headers, (b"content-security-policy", POLICY)]
            await send(message)

        if FILE_ROUTE in scope.get("path", ""):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send_with_policy)


def _serve(application: Any, listening: socket.socket) -> None:
    import uvicorn

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listening])


if __name__ == "__main__":
    run_script(main)
