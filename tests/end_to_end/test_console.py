"""A person's view: headless Chromium logs in, opens the tree, and a picture moves."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    BrowserContext,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from console import STATIC
from simulators.clips import FULL_H264, FULL_H265, SMALL_H264, SMALL_H265, ensure_clip
from simulators.demo import demo_devices
from tests.end_to_end.driving import ARTIFACTS, CLIPS, PLATFORM_ID, RunningPlatform, platform

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.foreign("chromium"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (STATIC / "index.html").exists(), reason="the console is not built: make console"
    ),
]

SCREENSHOT = ARTIFACTS / "console.png"
SIZE: ViewportSize = {"width": 1440, "height": 900}
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEVICES = demo_devices(("127.0.0.1", 5060), PLATFORM_ID, "")
CAMERA, H265_CAMERA, RECORDER, CHINESE = (device.profile for device in DEVICES)
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    for clip in (FULL_H264, FULL_H265, SMALL_H264, SMALL_H265):
        ensure_clip(clip, CLIPS)
    with platform("console", tmp_path_factory.mktemp("console"), demo=True) as started:
        for device in DEVICES:
            profile = device.profile
            started.wait_until_online(profile.device_id, channels=len(profile.channels))
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    profile: Path = tmp_path_factory.mktemp("chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            args=ARGUMENTS,
            viewport=SIZE,
            locale="en-GB",
        )
        context.set_default_timeout(PATIENCE_MS)
        yield context
        context.close()


@pytest.fixture(scope="module")
def page(browser: BrowserContext, demo: RunningPlatform) -> Iterator[Page]:
    """Logged in, after a try with a wrong password."""
    faults: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{demo.http_port}/")
    name, password = (demo.folder / "initial-password.txt").read_text().split()
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(f"{password}x")
    page.locator("button[type=submit]").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    expect(page.get_by_role("treeitem").first).to_be_visible(timeout=PATIENCE_MS)
    yield page
    assert faults == [], "errors in the page"


def row(page: Page, name: str, *, channel: bool = False) -> Locator:
    """A line of the tree, by its whole name."""
    rows = page.locator(
        "[role=treeitem][data-kind=channel]"
        if channel
        else "[role=treeitem]:not([data-kind=channel])"
    )
    return rows.filter(has=page.locator(".name", has_text=re.compile(f"^{re.escape(name)}$")))


def choose_layout(page: Page, count: int) -> None:
    page.get_by_role("button", name=re.compile(rf"^(\S+ )?{count}$")).click()


def tile(page: Page, name: str) -> Locator:
    named = page.locator("figcaption", has_text=name)
    return page.locator("figure.tile", has=named).first


def open_device(page: Page, name: str) -> None:
    device = row(page, name).first
    if device.get_attribute("aria-expanded") != "true":
        device.click()
    expect(device).to_have_attribute("aria-expanded", "true", timeout=PATIENCE_MS)


def moves(video: Locator) -> float:
    """Seconds that the picture advances in two."""
    before = float(video.evaluate("video => video.currentTime"))
    video.page.wait_for_timeout(2000)
    return float(video.evaluate("video => video.currentTime")) - before


def test_the_tree_shows_every_device(page: Page) -> None:
    for device in DEVICES:
        shown = row(page, device.profile.name).first
        expect(shown).to_be_visible()
        expect(shown).to_have_attribute("data-online", "true", timeout=PATIENCE_MS)
    open_device(page, RECORDER.name)
    for channel in RECORDER.channels:
        expect(row(page, channel.name, channel=True)).to_be_visible(timeout=PATIENCE_MS)


def test_a_picture_moves(page: Page) -> None:
    open_device(page, CAMERA.name)
    row(page, CAMERA.channels[0].name, channel=True).click()
    shown = tile(page, CAMERA.channels[0].name)
    expect(shown).to_have_attribute("data-state", "playing", timeout=PATIENCE_MS)
    video = shown.locator("video")
    assert video.evaluate("video => [video.videoWidth, video.videoHeight]") == [1920, 1080]
    assert 1.5 <= moves(video) <= 4.0
    behind = "video => video.buffered.end(video.buffered.length - 1) - video.currentTime"
    assert float(video.evaluate(behind)) < 3.0, "it keeps near to now"
    decoded = "video => video.getVideoPlaybackQuality().totalVideoFrames"
    assert int(video.evaluate(decoded)) > 20


def test_four_pictures_and_the_tree_for_the_readme(page: Page) -> None:
    choose_layout(page, 4)
    for device in (CHINESE, RECORDER):
        open_device(page, device.name)
    of_recorder = [channel for channel in RECORDER.channels if channel.codec == "h264"]
    names = [channel.name for channel in (CAMERA.channels[0], CHINESE.channels[0], *of_recorder)]
    for name in names[1:4]:
        row(page, name, channel=True).click()
    for name in names[:4]:
        expect(tile(page, name)).to_have_attribute("data-state", "playing", timeout=PATIENCE_MS)
    stages = tile(page, names[0]).get_by_role("button", name="Stages")
    stages.click()
    for name in names[:4]:
        assert moves(tile(page, name).locator("video")) > 1.0
    expect(tile(page, names[0]).locator("li").first).to_be_visible()
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    page.mouse.move(150, 860)  # below the tree, where nothing lights up
    page.screenshot(path=SCREENSHOT)
    assert SCREENSHOT.stat().st_size > 50_000
    stages.click()


def test_h265_plays_or_says_what_to_do(page: Page) -> None:
    choose_layout(page, 1)
    open_device(page, H265_CAMERA.name)
    page.locator("figcaption button").last.click()  # close the one in the way
    row(page, H265_CAMERA.channels[0].name, channel=True).click()
    shown = tile(page, H265_CAMERA.channels[0].name)
    expect(shown).to_have_attribute("data-state", re.compile("playing|failed"), timeout=PATIENCE_MS)
    if shown.get_attribute("data-state") == "failed":
        expect(shown.locator(".message")).to_contain_text("H.265")
        expect(shown.locator(".message")).to_contain_text("sub stream", ignore_case=True)


def test_the_language_can_be_switched(page: Page) -> None:
    expect(page.locator("header")).to_contain_text("Devices")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("header")).to_contain_text("设备")
    shown = tile(page, H265_CAMERA.channels[0].name)
    if shown.get_attribute("data-state") == "failed":
        expect(shown.locator(".message")).to_contain_text("请")
    expect(row(page, CHINESE.name).first).to_be_visible()
    page.reload()
    expect(page.locator("header")).to_contain_text("设备", timeout=PATIENCE_MS)
    page.get_by_role("button", name="English").click()
    expect(page.locator("header")).to_contain_text("Devices")
